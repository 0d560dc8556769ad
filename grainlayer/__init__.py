"""Split film grain from a picture, keep it as a few kilobits a second, put it back at any strength.

Nothing is imported here, so that `import grainlayer` stays instant; import the rooms you need:
`grainlayer.params` (every parameter), `grainlayer.effect` (a Request into pixels), `grainlayer.jobs` (whole files).
"""

__version__ = "0.1.0"
