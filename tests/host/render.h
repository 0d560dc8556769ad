// Renders one frame and finds out what became of the output.
#pragma once

#include "actions.h"

namespace host {

struct RenderSettings {
    double time = 0;
    double scale = 1;
    std::optional<ofx::RectI> window; // in pixels; all of the output without it
    bool thumbnail = false;
    bool draft = false;
    bool interactive = false;
    bool sequence = false;  // within Begin- and EndSequenceRender
    bool likeMlt = false;   // the whole life of a plug-in in one frame
    bool needed = false;    // asks GetFramesNeeded first and holds the plug-in to it
    int abortAfter = -1;    // milliseconds
    bool checkInputs = true; // looks for writes to them; slow
};

struct RenderResult {
    ofx::Status status = ofx::kStatFailed;
    double milliseconds = 0; // of the render action alone
    double lifeMilliseconds = 0; // of all actions, with likeMlt
    std::vector<std::string> messages; // JSON
    std::optional<std::string> persistent;
    int persistentCalls = 0;
    long abortPolls = 0;
    Damage damage;
    ofx::RectI window{};
    std::shared_ptr<Buffer> output;

    std::string json() const;
    bool hasMessage() const { return persistent.has_value() || !messages.empty(); }
};

// `output` is used when it fits; otherwise a new buffer is made.
RenderResult renderFrame(Effect &effect, const RenderSettings &settings,
    std::shared_ptr<Buffer> output = nullptr);

// True when the window of the output equals that of the Source at the time, bit by bit.
bool equalsSource(Effect &effect, const RenderResult &result, const RenderSettings &settings);

// Writes the window, top row first: float32 RGBA or 16-bit RGBA.
void writeWindow(const RenderResult &result, const std::string &path, bool as16);

double millisecondsSince(Clock::time_point start);

} // namespace host
