"""What hosts remember of our bundle, as OFX's HostSupport and DaVinci Resolve write it down."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grainlayer.server.doctor import State, cache_findings
from grainlayer.server.hostcaches import Knowledge, look_at_caches

OTHER = '<bundle>\n  <binary bundle_path="/a/Other.ofx.bundle" path="/a/Other.ofx" mtime="1" size="1"/>\n</bundle>\n'


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an installed bundle and a home without hosts."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NUKE_TEMP_DIR", str(tmp_path / "nuke"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    found = tmp_path / "OFX" / "Plugins" / "GrainLayer.ofx.bundle"
    binary = binary_of(found)
    binary.parent.mkdir(parents=True)
    binary.write_bytes(b"x" * 77)
    os.utime(binary, (1000, 1_700_000_000))
    return found


def binary_of(bundle: Path) -> Path:
    return bundle / "Contents" / "Linux-x86-64" / "GrainLayer.ofx"


def entry(bundle: Path, mtime: int = 1_700_000_000, size: int = 77, more: str = "") -> str:
    told = f'bundle_path="{bundle}" path="{binary_of(bundle)}" mtime="{mtime}" size="{size}" {more}'
    plugin = '<plugin name="org.grainlayer.GrainSplit" index="0" api="OfxImageEffectPluginAPI"/>'
    return f"<bundle>\n  <binary {told}/>\n  {plugin}\n</bundle>\n"


def write(path: Path, *entries: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'<cache version="1">\n{"".join(entries)}</cache>\n')
    return path


def resolve_cache(home: Path) -> Path:
    return home / ".local" / "share" / "DaVinciResolve" / "configs" / "OFXPluginCacheV2.xml"


def test_no_host_no_finding(bundle: Path) -> None:
    assert cache_findings(bundle) == cache_findings(None) == []


def test_every_host_that_knows_the_bundle_is_named_once(bundle: Path, tmp_path: Path) -> None:
    text = (OTHER, entry(bundle))
    write(resolve_cache(tmp_path), OTHER, entry(bundle, more='status="0"'))
    write(tmp_path / "nuke" / "ofxplugincache" / "ofxplugincache_Nuke15.1v1-64.xml", *text)
    write(tmp_path / ".cache" / "INRIA" / "Natron" / "OFXLoadCache" / "OFXCache_2.5.0_Release_1.xml", *text)
    [finding] = cache_findings(bundle)
    assert (finding.state, finding.name) == (State.OK, "caches")
    assert "DaVinci Resolve, Natron, Nuke" in finding.text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"mtime": 1_600_000_000}, Knowledge.OLDER),
        ({"size": 76}, Knowledge.OLDER),
        ({"mtime": 0, "size": 0, "more": 'status="2"'}, Knowledge.FAILED),
    ],
)
def test_what_is_not_today_s_bundle_is_named_with_its_remedy(
    bundle: Path, tmp_path: Path, change: dict[str, object], expected: Knowledge
) -> None:
    path = write(resolve_cache(tmp_path), OTHER, entry(bundle, **change))  # type: ignore[arg-type]
    assert [cache.knowledge for cache in look_at_caches(bundle)] == [expected]
    [finding] = cache_findings(bundle)
    assert finding.state is State.WARN
    for word in ("DaVinci Resolve", str(path), expected.value, "quit it, delete"):
        assert word in finding.text


def test_a_bundle_elsewhere_or_gone_is_an_older_one(bundle: Path, tmp_path: Path) -> None:
    write(resolve_cache(tmp_path), entry(tmp_path / "elsewhere" / "GrainLayer.ofx.bundle"))
    assert [cache.knowledge for cache in look_at_caches(bundle)] == [Knowledge.OLDER]


def test_a_cache_without_it_or_that_is_none(bundle: Path, tmp_path: Path) -> None:
    path = write(resolve_cache(tmp_path), OTHER)
    assert [cache.knowledge for cache in look_at_caches(bundle)] == [Knowledge.NONE]
    path.write_bytes(b"\xff" * 10)
    assert [cache.knowledge for cache in look_at_caches(bundle)] == [Knowledge.UNREADABLE]
    path.unlink()
    os.mkfifo(path)
    assert look_at_caches(bundle) == []


def test_a_cache_without_times_counts_by_its_own(bundle: Path, tmp_path: Path) -> None:
    path = write(resolve_cache(tmp_path), f'<binary path="{binary_of(bundle)}"/>')
    assert [cache.knowledge for cache in look_at_caches(bundle)] == [Knowledge.CURRENT]
    os.utime(path, (1000, 1_600_000_000))
    assert [cache.knowledge for cache in look_at_caches(bundle)] == [Knowledge.OLDER]


def test_a_blocklist_is_a_failure(bundle: Path, tmp_path: Path) -> None:
    blocked = tmp_path / ".local" / "share" / "DaVinciResolve" / "Fusion" / "Profiles" / "Default" / "Plugins.blocklist"
    write(blocked, f"{binary_of(bundle)}\n")
    assert [(cache.path, cache.knowledge) for cache in look_at_caches(bundle)] == [(blocked, Knowledge.FAILED)]
