// Which properties each kind of set has, as the specification lists them.
#pragma once

#include "properties.h"

#include <span>
#include <string_view>

namespace host {

std::span<const Definition> hostProperties();
std::span<const Definition> descriptorProperties();
std::span<const Definition> instanceProperties();
std::span<const Definition> clipDescriptorProperties();
std::span<const Definition> clipInstanceProperties();
std::span<const Definition> imageProperties();
std::span<const Definition> paramSetProperties();

// What is common to every parameter, and what is common to those that hold a value.
std::span<const Definition> paramProperties();
std::span<const Definition> valueParamProperties();

// Properties of a parameter that a plug-in may still change on an instance.
bool isChangeableOnInstance(std::string_view paramProperty);

// True for every name in the specification, wherever it belongs.
bool isKnownProperty(std::string_view name);

// True for a property that came with a later API version than the host pretends to have; a
// plug-in may try to set it and gets an error back.
bool isTooNewForHost(std::string_view name);
void setApiOfHost(int major, int minor);

} // namespace host
