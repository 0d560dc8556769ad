// A small, strict OpenFX host for tests.
//
// It reads commands from stdin, one a line, and answers each with one JSON object on one line of
// stdout. A command that cannot be done is answered with {"error": ...}. What the plug-in does
// against the specification is listed in "new_violations" of the answer during which it was
// noticed, printed to stderr as {"violation": ...}, and kept for `violations` and `quit`.
//
// Words are separated by blanks; "..." keeps blanks, with a backslash before " and \ (\n is a new
// line). Words of the form key=value are options, anywhere after the verb. A VALUE is the rest of
// the line as it is, or one quoted word; options cannot follow it (but `time=` may follow in
// `edit`). TIME is the host's time, in frames. A clip's picture at the first time of the range is
// the first frame of its file.
//
//   host [name=] [api=1.5] [message_suite=0|1|2] [null_persistent=0|1] [memory=0|1]
//        [progress=0|1] [multithread=0|1] [timeline=0|1] [cpus=N] [field=None|Both|Lower|Upper]
//        [temporal=0|1|null|clamp|ignore] [times=null|clamp|ignore]
//       Sets traits; those not named stay. temporal=0 and ignore: no temporal access, every time
//       gives the current frame. 1 and null: nothing outside of the range. clamp: the nearest
//       frame of the range. times= changes that and leaves the host's property alone. -> host
//   load PATH            a .ofx file or a bundle -> path, plugins [{id, version, api, api_version}]
//   unload               destroys all instances, unloads all binaries -> ok, leaks
//   describe ID [context=Filter|General] -> id, context, effect {}, set [names of properties that
//       the plug-in wrote], param_set {}, clips [{name, properties}],
//       params [{name, type, properties, set}]
//   create NAME ID [context=] [width=] [height=] [components=RGBA|RGB] [frames=A-B or A:B] [rate=]
//       [depth=byte|short|half|float] [premult=Opaque|Premultiplied|UnPremultiplied]
//       [clip_props=0]   -> status, ms, created. 64x48, RGBA, float, frames 0-0 by default.
//   destroy NAME         -> status
//   set NAME PARAM VALUE          without telling the plug-in; all keys, if any -> ok
//   key NAME PARAM TIME VALUE     a keyframe: linear for doubles, a step for the others -> ok
//   edit NAME PARAM [VALUE] [time=T] [scale=S]   sets, then Begin, InstanceChanged and End; without a VALUE
//       it only tells
//       -> status, ms, changed [parameters that the plug-in set], messages, persistent
//   get NAME PARAM [time=T]       -> value, option (of a choice), keys [[time, value]]
//   props NAME [clip=C | param=P] -> properties {}
//   sync NAME, purge NAME         SyncPrivateData, PurgeCaches -> status, messages
//   source NAME CLIP FILE [frames=N] [raw16=1] [components=]   binds float32 RGBA, top row first
//       (raw16: uint16 RGBA for clips of the depth short) and connects the clip -> ok
//   connect NAME CLIP 0|1 [components=Alpha|RGB|RGBA] -> ok
//   layout NAME CLIP|* [origin=X,Y] [pad=BYTES] [negative=0|1] -> ok. The origin moves the region
//       of definition of the clip, so that it usually belongs on all clips.
//   identity NAME TIME [scale=] [window=]   -> status, clip, time
//   rod NAME TIME [scale=]                  -> status, rod
//   roi NAME TIME [scale=]                  -> status, roi {clip: [x1, y1, x2, y2]}
//   frames NAME TIME                        -> status, frames {clip: [first, last, ...]}
//   prefs NAME    asks for clip preferences and applies depths, components and premultiplication
//       -> status, prefs {}
//   render NAME TIME [out=FILE] [out16=1] [window=x1,y1,x2,y2] [scale=S] [thumbnail=1] [draft=1]
//       [interactive=1] [abort_after_ms=N] [sequence=1] [needed=1] [like_mlt=1]
//       out: the window as float32 RGBA, top row first (out16: uint16). needed: asks
//       GetFramesNeeded first and holds the plug-in to its answer. like_mlt: setHost, Load,
//       Describe ... DestroyInstance around this one frame, with the values of NAME.
//       -> status, ms (the render action), life_ms (like_mlt), messages [{type, id, text}],
//       persistent {type, id, text} or null, persistent_calls (set or cleared so far),
//       abort_polls, unwritten (pixels in the window; with images of three bytes a pixel it may
//       count a chance hit), outside (bytes), window
//   parallel NAME TIME... [threads=N] [out=PREFIX] [like_mlt=1] [sequence=1] [scale=]
//       files are PREFIX<time>.raw -> ms, frames [an answer of render each]
//   storm plugin=ID file=RAW expect=PREFIX [seconds=] [threads=] [instances=] [context=] [width=]
//       [height=] [frames=A-B] [depth=] [components=] [raw16=1] [params=key:value,...]
//       [like_mlt=1]     renders random frames until the time is over or a line `stop` arrives.
//       Every frame must equal PREFIX<time>.raw with status OK, or fail with the source in the
//       output and a message. Prints a line with "progress": true each second; the last has none
//       -> t, ok, failed, wrong, silent_failures, slowest_ms, longest_gap_ms, examples
//   bench NAME TIME [rounds=N] [edit=PARAM:V/V/...] [like_mlt=1] [sequence=1] [scale=] [draft=1]
//       [interactive=1]  -> statuses, render_ms, life_ms, copies_1_thread_ms, copies_2_threads_ms
//       (the source's bytes copied twice, warm), median_..., bytes
//   lifecycle ID [rounds=N] [context=]      loads anew; needs that there are no instances
//       -> load_describe_ms, create_destroy_us (median, in the plug-in), with_host_us, rounds
//   memory               KiB -> VmRSS, RssAnon, RssShmem, RssFile, descriptors
//   violations           -> count, violations
//   stop                 ends a storm; otherwise -> stopped: false
//   quit                 -> quit, count, violations, leaks
#include "commands.h"

#include <iostream>

int main()
{
    host::Input input;
    bool ended = false;
    while (const auto line = input.next()) {
        std::cout << host::execute(*line, input) << std::endl;
        ended = host::split(*line, ' ')[0] == "quit";
    }
    if (!ended) {
        std::cout << host::finish() << std::endl;
    }
    return 0;
}
