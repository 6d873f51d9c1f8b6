#include "CSimdjson.h"

#include <cstring>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include <simdjson.h>

namespace ondemand = simdjson::ondemand;

namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The number grammar of RFC 8259, which On-Demand only checks for numbers it is asked to convert.
bool is_number(std::string_view text) {
  size_t i = 0;
  const size_t n = text.size();
  const auto digits = [&] {
    const size_t start = i;
    while (i < n && is_digit(text[i])) i++;
    return i - start;
  };
  if (i < n && text[i] == '-') i++;
  const size_t whole_start = i;
  const size_t whole = digits();
  if (whole == 0 || (whole > 1 && text[whole_start] == '0')) return false;
  if (i < n && text[i] == '.') {
    i++;
    if (digits() == 0) return false;
  }
  if (i < n && (text[i] == 'e' || text[i] == 'E')) {
    i++;
    if (i < n && (text[i] == '+' || text[i] == '-')) i++;
    if (digits() == 0) return false;
  }
  return i == n;
}

}  // namespace

struct vigil_json_reader {
  ondemand::parser parser;
  std::vector<char> text;
  std::vector<uint8_t> unescaped;
  std::vector<vigil_json_token> tokens;
  size_t count = 0;
  uint32_t depth_max = 0;

  /// On-Demand checks only what it visits, so every value is visited, and every scalar's text checked.
  bool read(const uint8_t *bytes, size_t size) {
    if (text.size() < size + simdjson::SIMDJSON_PADDING) text.resize(size + simdjson::SIMDJSON_PADDING);
    if (size != 0) std::memcpy(text.data(), bytes, size);
    std::memset(text.data() + size, 0, simdjson::SIMDJSON_PADDING);
    count = size;
    ondemand::document document;
    if (parser.iterate(text.data(), size, text.size()).get(document)) return false;
    ondemand::value root;
    if (document.get_value().get(root)) return false;
    if (!walk(root, 1)) return false;
    // Bytes behind the root: 3.0.1 has no document::at_end().
    const char *rest = nullptr;
    return document.current_location().get(rest) == simdjson::OUT_OF_BOUNDS;
  }

  bool walk(ondemand::value &value, uint32_t depth) {
    ondemand::json_type type;
    if (value.type().get(type)) return false;
    switch (type) {
      case ondemand::json_type::array:
        return depth <= depth_max && walk_array(value, depth);
      case ondemand::json_type::object:
        return depth <= depth_max && walk_object(value, depth);
      case ondemand::json_type::string: {
        const auto token = value.raw_json_token();
        // Consumed explicitly: skipping an unread string, 3.0.1 takes a colon behind it for an object's and goes on.
        ondemand::raw_json_string consumed;
        return !value.get_raw_json_string().get(consumed) && scalar(token);
      }
      default:
        return scalar(value.raw_json_token());
    }
  }

  bool walk_array(ondemand::value &value, uint32_t depth) {
    ondemand::array array;
    const char *start = value.raw_json_token().data();
    const size_t self = open(start, VIGIL_JSON_ARRAY);
    if (value.get_array().get(array)) return false;
    for (auto item : array) {
      ondemand::value element;
      if (std::move(item).get(element)) return false;
      if (!walk(element, depth + 1)) return false;
    }
    return close(self, value, ']');
  }

  bool walk_object(ondemand::value &value, uint32_t depth) {
    ondemand::object object;
    const char *start = value.raw_json_token().data();
    const size_t self = open(start, VIGIL_JSON_OBJECT);
    if (value.get_object().get(object)) return false;
    for (auto item : object) {
      ondemand::field field;
      if (std::move(item).get(field)) return false;
      if (!key(field.key().raw())) return false;
      if (!walk(field.value(), depth + 1)) return false;
    }
    return close(self, value, '}');
  }

  size_t open(const char *start, uint8_t kind) {
    tokens.push_back({static_cast<uint32_t>(start - text.data()), 0, 0, kind, 0, 0});
    return tokens.size() - 1;
  }

  /// Sets the extent of a container just left: up to the bracket before the next token, or before the end.
  bool close(size_t self, ondemand::value &value, char bracket) {
    const char *end = text.data() + count;
    const char *next = nullptr;
    const auto error = value.current_location().get(next);
    if (error == simdjson::SUCCESS) {
      end = next;
    } else if (error != simdjson::OUT_OF_BOUNDS) {
      return false;
    }
    const char *start = text.data() + tokens[self].offset;
    while (end > start && is_space(end[-1])) end--;
    if (end <= start + 1 || end[-1] != bracket) return false;
    tokens[self].length = static_cast<uint32_t>(end - start);
    tokens[self].next = static_cast<uint32_t>(tokens.size());
    return true;
  }

  void push(const char *start, size_t length, uint8_t kind, bool escaped = false) {
    tokens.push_back({static_cast<uint32_t>(start - text.data()), static_cast<uint32_t>(length),
                      static_cast<uint32_t>(tokens.size() + 1), kind, static_cast<uint8_t>(escaped), 0});
  }

  bool key(const char *start) {
    const char *const limit = text.data() + count;
    const char *end = start;
    bool escaped = false;
    while (end < limit && *end != '"') {
      if (*end == '\\') {
        escaped = true;
        end++;
      }
      end++;
    }
    if (end >= limit) return false;
    return string(start, static_cast<size_t>(end - start), escaped);
  }

  bool string(const char *start, size_t length, bool escaped) {
    push(start, length, VIGIL_JSON_STRING, escaped);
    const uint8_t *ignored = nullptr;
    return !escaped || unescape(tokens.back(), &ignored) >= 0;
  }

  bool scalar(std::string_view token) {
    while (!token.empty() && is_space(token.back())) token.remove_suffix(1);
    if (token.empty()) return false;
    switch (token.front()) {
      case '"': {
        if (token.size() < 2 || token.back() != '"') return false;
        const auto body = token.substr(1, token.size() - 2);
        return string(body.data(), body.size(), body.find('\\') != std::string_view::npos);
      }
      case 't':
        push(token.data(), token.size(), VIGIL_JSON_TRUE);
        return token == "true";
      case 'f':
        push(token.data(), token.size(), VIGIL_JSON_FALSE);
        return token == "false";
      case 'n':
        push(token.data(), token.size(), VIGIL_JSON_NULL);
        return token == "null";
      default:
        push(token.data(), token.size(), VIGIL_JSON_NUMBER);
        return is_number(token);
    }
  }

  int64_t unescape(const vigil_json_token &token, const uint8_t **out) {
    // The text only shrinks, but simdjson writes whole vectors.
    const size_t needed = token.length + 2 * simdjson::SIMDJSON_PADDING;
    if (unescaped.size() < needed) unescaped.resize(needed);
    uint8_t *end = unescaped.data();
    std::string_view resolved;
    const ondemand::raw_json_string raw(reinterpret_cast<const uint8_t *>(text.data()) + token.offset);
    if (parser.unescape(raw, end).get(resolved)) return -1;
    // A lone surrogate passes simdjson 3.0.1 as three bytes that are not UTF-8.
    if (!simdjson::validate_utf8(resolved.data(), resolved.size())) return -1;
    *out = unescaped.data();
    return static_cast<int64_t>(resolved.size());
  }
};

extern "C" vigil_json_reader *vigil_json_create(void) {
  try {
    return new vigil_json_reader();
  } catch (...) {
    return nullptr;
  }
}

extern "C" void vigil_json_destroy(vigil_json_reader *reader) { delete reader; }

extern "C" int32_t vigil_json_read(
    vigil_json_reader *reader, const uint8_t *bytes, size_t count, uint32_t depth_max, vigil_json_tape *tape) {
  *tape = {nullptr, 0, nullptr};
  if (count > INT32_MAX) return VIGIL_JSON_INVALID;
  try {
    reader->tokens.clear();
    reader->depth_max = depth_max;
    if (!reader->read(bytes, count)) {
      reader->tokens.clear();
      return VIGIL_JSON_INVALID;
    }
    *tape = {reader->tokens.data(), reader->tokens.size(), reinterpret_cast<const uint8_t *>(reader->text.data())};
    return VIGIL_JSON_OK;
  } catch (const std::bad_alloc &) {
    return VIGIL_JSON_NO_MEMORY;
  } catch (...) {
    return VIGIL_JSON_INVALID;
  }
}

extern "C" int64_t vigil_json_unescape(vigil_json_reader *reader, size_t index, const uint8_t **text) {
  if (index >= reader->tokens.size()) return -1;
  try {
    return reader->unescape(reader->tokens[index], text);
  } catch (...) {
    return -1;
  }
}

extern "C" int32_t vigil_utf8_valid(const uint8_t *bytes, size_t count) {
  return simdjson::validate_utf8(reinterpret_cast<const char *>(bytes), count) ? 1 : 0;
}
