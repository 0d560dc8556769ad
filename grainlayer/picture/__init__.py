"""Bring pictures in and out: files, planes, transfer curves, tiles and cuts."""
