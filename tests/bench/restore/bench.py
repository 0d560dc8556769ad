"""Run the evaluation of restoration: gather, tables, targets, figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.cache import PLACE
from tests.bench.report import RESULTS, Report
from tests.bench.restore.clips import QUICK as QUICK_CLIPS
from tests.bench.restore.clips import Source, clip_sources
from tests.bench.restore.degrade import CONDITIONS, ROUNDING, SOFT_ROUNDING, X264
from tests.bench.restore.degrade import QUICK as QUICK_CONDITIONS
from tests.bench.restore.drawing import draw_all
from tests.bench.restore.gather import Found, gather
from tests.bench.restore.methods import BILINEAR, DEBAND, PEERS, WIDE_BLUR, Method, net_methods, plain_methods
from tests.bench.restore.sky import SKY
from tests.bench.restore.tables import FACTS, clip_table, clips_of, facts, judge, main_table, precision_table, sky_table, steady_table

DRAWN = ("davis_car-shadow", "svt_intotree_10bit")
"""The clips that are drawn, beside the made sky."""
NOTES = (
    "Clips of data/video/research_only and check, of which no net has learnt anything: the first 15 pictures (7 where there are no more) "
    "are encoded, 5 consecutive ones in their middle are judged; cut to the middle of at most 424x320.",
    "Truth: clips of 10 bits and 4:4:4 at their own size and depth; clips of 8 bits or of stored chroma smaller than the luma (vimeo90k, "
    "vid4, svt) halved by plain means of 2x2 samples as they are, not in linear light, which gives finer steps than the file's and "
    "chroma for every pixel.",
    "Degraded: chroma filtered 1 2 1 across and 1 1 down to 4:2:0 (sited left), rounded to 8 bits, then x264 or x265 at constant QP "
    "and with one thread, all else the encoder's defaults; 'rounding': no codec. 'noise-free': the truth first blurred by a Gaussian of "
    "1.5 pixels. Chroma is judged at 4:4:4.",
    "PSNR and SSIM: means over pictures, then over clips; of Y, Cb and Cr with the peak 255 codes, of RGB (BT.709) with the peak 1. "
    "Rounding to the nearest of 8 bits leaves 58.92 dB where the truth's steps are fine, 58.4 where it has 10 bits.",
    "worst clip: luma over the input on the clip where that is least. Classes of luma by blocks of 16x16 of the truth, a plane fitted to "
    "each: texture where the standard deviation about the plane is 1 code of 8 bits or more; of the others gradient where the plane rises "
    "by 2 codes or more across the block, flat where by less. Chroma edges: pixels where Cb or Cr of the truth changes by 4 codes of 8 "
    "bits a pixel or more, both planes' errors. A class under 1 % of a clip has no figure there.",
    "flicker: mean difference of luma from picture to picture over the truth's, where the truth changes by less than 4 codes of 8 bits "
    "(mean over 5x5 pixels). CAMBI: libvmaf's, luma rounded to 10 bits; graded: contrast times 4, steps up to 32 codes looked at.",
    "Table 1: right is the share of luma whose rounded code is the truth's, added the share whose code is not the 8-bit input's, shifted. "
    "chance: what Gaussian errors of the row's own RMS get right. A value drawn evenly from the cell of rounding would have 25, 12.5 "
    "and 6.25 % right and 75, 87.5 and 93.75 % added. Only clips whose truth has the depth.",
    "Peers have the setting of a small grid that is best in hindsight for the luma of one picture of every clip and condition, and chroma "
    "by Lanczos; FFmpeg's deblock and deband run in 12 bits, nlmeans in 8, all it reads. blur in the cell: a Gaussian of so many "
    "pixels, every sample moved back to the nearest value that its 8-bit code allows: the bar for rounding, the wide one in smooth areas.",
    "Nets: the number of pictures in brackets. Told the QP that the stream states for every block (H.265: the one set, less 3 in I and 2 "
    "more in B pictures). Without a codec their luma is held in the cell.",
)


def run(quick: bool = False, models: Sequence[Path] = (), clips: Sequence[str] = (), say: Callable[[str], None] = lambda _: None) -> Report:
    """Evaluate the nets of the manifest and those given; quick: three clips and the sky, two QPs and rounding."""
    plain, nets = plain_methods(), net_methods(models)
    conditions = QUICK_CONDITIONS if quick else CONDITIONS
    sources = [*clip_sources(names=tuple(clips) or (QUICK_CLIPS if quick else ())), SKY]
    found = gather(sources, conditions, [*plain, *nets], say)
    report = Report("restore", "Restoration of 8-bit 4:2:0 video")
    judge(report, found, [net.name for net in nets])
    if not nets:
        report.notes.append("No net of the task restore is in the manifest: the tables hold input and peers alone.")
    report.notes += NOTES
    report.tables = [main_table(name, clips_of(rows)) for name, rows in found.items()]
    report.tables += [table for table in (sky_table(found), precision_table(found), steady_table(found), clip_table(found)) if table]
    report.figures = {table.title: [list(table.head), *table.rows] for table in report.tables}
    report.figures[FACTS] = facts(found, {net.name: net.key[0] for net in nets})
    report.pictures = _pictures((PLACE / "results" if quick or models or clips else RESULTS) / "restore", found, sources, [*plain, *nets])
    return report


def _pictures(folder: Path, found: Found, sources: Sequence[Source], methods: Sequence[Method]) -> dict[str, str]:
    """Draw the sky and two clips; captions by the files' paths beside the report."""
    columns = [method for method in methods if method.name in (BILINEAR, DEBAND, WIDE_BLUR) or method.name not in PEERS]
    asked = [(SKY, X264[1]), (SKY, ROUNDING)]
    asked += [(source, condition) for source in sources if source.name in DRAWN for condition in (X264[3], SOFT_ROUNDING)]
    captions = draw_all(folder, found, asked, columns)
    return {f"{folder.name}/{name}": caption for name, caption in captions.items()}
