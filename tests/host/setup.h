// What several commands share: reading the options that describe instances and renders.
#pragma once

#include "render.h"
#include "script.h"

namespace host {

std::string contextOption(const Command &command); // the full name; Filter by default
Settings createSettings(const Command &command, const Effect &descriptor);
RenderSettings renderSettings(const Command &command);
std::string messagesJson(Effect &effect); // those of takeMessages
std::string frameText(double time); // "7", or "7.5"

// Sets from "key:value,key:value".
void setParams(Effect &effect, const std::string &list);
void setParam(Effect &effect, const std::string &name, const std::string &text);
std::shared_ptr<Param> findParam(const Effect &effect, const std::string &name);
std::shared_ptr<Clip> findClip(const Effect &effect, const std::string &name);
void bindSource(Effect &effect, const std::string &clip, const Source &source);

} // namespace host
