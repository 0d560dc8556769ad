"""Be the program `grainlayer` towards the scripts: `info` and `deliver`, on the files that the fake Resolve renders."""

import json
import os
import sys


def info(path):
    with open(path, encoding="utf-8") as file:
        seen = json.load(file)
    if not seen["quiet"]:
        raise ValueError("an effect of ours was on while {} was rendered".format(seen["clip"]))
    frames = 1 if path.endswith(".exr") else seen["frames"]
    return {"file": path, "base": {"frames": frames, "width": seen["size"][0], "height": seen["size"][1]}}


ORDERED = []
"""What was asked of `deliver`: base codec, grain format and handles."""


def deliver(edit, folder, layers, grain_format):
    """Stack a track a layer, every clip with media of its own."""
    with open(edit, encoding="utf-8") as file:
        tree = json.load(file)
    stacked = []
    for track in tree["tracks"]["children"]:
        for layer in layers.split(","):
            stacked.append(_layer(track, layer, folder, grain_format))
    tree["tracks"]["children"] = [track for track in stacked if any(child["OTIO_SCHEMA"] == "Clip.2" for child in track["children"])]
    out = os.path.join(folder, "layers.otio")
    with open(out, "w", encoding="utf-8") as file:
        json.dump(tree, file)
    return {"otio": out, "shots": 2}


def _layer(track, layer, folder, grain_format):
    copied = json.loads(json.dumps(track))
    blend = {"layer": layer, "blend": "Normal", "opacity": 100}
    if layer == "grain":
        blend.update({"blend": "Add"} if grain_format == "exr" else {"blend": "Linear Light", "opacity": 50})
    copied.update(name=layer, enabled=layer != "result", metadata={"grainlayer_layer": blend})
    for child in copied["children"]:
        if child["OTIO_SCHEMA"] == "Clip.2":
            path = os.path.join(folder, "{}_{}.mov".format(child["name"], layer))
            with open(path, "w", encoding="utf-8") as file:
                file.write("layer")
            frames = child["media_references"]["DEFAULT_MEDIA"]["available_range"]
            child["media_references"] = {"DEFAULT_MEDIA": dict(OTIO_SCHEMA="ExternalReference.1", target_url=path, available_range=frames)}
    return copied


def answer(arguments, tell):
    """Answer as grain_scripts.program.run does."""
    tell(f"working on {arguments[1]}")
    if arguments[0] == "info":
        assert arguments[2:] == ["--json"], arguments
        return info(arguments[1])
    assert arguments[0] == "deliver", arguments
    words = ["-o", "--layers", "--base-codec", "--grain-format", "--handles"]
    assert [arguments[2:12:2], arguments[12:]] == [words, ["--absolute", "--json"]], arguments
    ORDERED.append(tuple(arguments[7:12:2]))
    return deliver(arguments[1], arguments[3], arguments[5], arguments[9])


if __name__ == "__main__":
    try:
        sys.stdout.write("a line\n" + json.dumps(answer(sys.argv[1:], lambda line: sys.stderr.write(line + "\n"))) + "\n")
    except Exception as error:
        sys.stderr.write(f"grainlayer: {error}; look again.\n")
        sys.exit(1)
