"""Do the work of the scripts in Resolve's menus: standard library only, Python 3.6 or newer, Resolve 19.1 or newer."""
