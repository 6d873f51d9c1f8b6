#pragma once
// A C door to simdjson: one call turns a whole payload into a flat list of tokens, or refuses it.
//
// Nothing of a payload is visible before all of it, trailing bytes included, was found to be valid JSON in valid UTF-8.
// What a token means is decided in Swift; this file knows JSON only.
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  VIGIL_JSON_OBJECT = 1,
  VIGIL_JSON_ARRAY = 2,
  VIGIL_JSON_STRING = 3,
  VIGIL_JSON_NUMBER = 4,
  VIGIL_JSON_TRUE = 5,
  VIGIL_JSON_FALSE = 6,
  VIGIL_JSON_NULL = 7,
};

enum {
  VIGIL_JSON_OK = 0,
  VIGIL_JSON_INVALID = 1,
  VIGIL_JSON_NO_MEMORY = 2,
};

/// One JSON value or key. The children of a container follow it; a key is a string token followed by its value.
typedef struct vigil_json_token {
  /// First byte of the value's text; of a string: behind its opening quote.
  uint32_t offset;
  /// Bytes of the value's text; of a string: without its quotes, escapes not resolved.
  uint32_t length;
  /// Index of the first token behind this value and all that is in it.
  uint32_t next;
  uint8_t kind;
  /// 1 if a string holds a backslash: vigil_json_unescape gives its text.
  uint8_t escaped;
  uint16_t reserved;
} vigil_json_token;

/// The tokens of the payload read last; valid until the next call with the same reader.
typedef struct vigil_json_tape {
  const vigil_json_token *tokens;
  size_t count;
  /// The reader's own copy of the payload with at least 64 readable bytes behind it.
  const uint8_t *text;
} vigil_json_tape;

typedef struct vigil_json_reader vigil_json_reader;

/// A reader with its own buffers, for one thread; NULL when out of memory.
vigil_json_reader *vigil_json_create(void);
void vigil_json_destroy(vigil_json_reader *reader);

/// Reads a payload whose root is an object or an array nested at most `depth_max` deep (the root counts as 1).
/// `count` must be below 2^31. Returns VIGIL_JSON_OK and fills `tape`, or another code and leaves it empty.
int32_t vigil_json_read(
    vigil_json_reader *reader, const uint8_t *bytes, size_t count, uint32_t depth_max, vigil_json_tape *tape);

/// Resolves the escapes of the string token at `index` of the tape read last.
/// Returns the number of bytes and sets `text` (valid until the next call with the same reader), or -1.
int64_t vigil_json_unescape(vigil_json_reader *reader, size_t index, const uint8_t **text);

/// 1 if the bytes are valid UTF-8.
int32_t vigil_utf8_valid(const uint8_t *bytes, size_t count);

#ifdef __cplusplus
}
#endif
