import CSimdjson
import Glibc

/// A view of the tokens of one payload; valid until the reader reads the next one.
package struct JSONTape {
  package enum Kind: UInt8 {
    case object = 1
    case array = 2
    case string = 3
    case number = 4
    case yes = 5
    case no = 6
    case null = 7
  }

  private let tokens: UnsafePointer<vigil_json_token>
  private let count: Int
  private let text: UnsafeRawPointer

  init?(_ tape: vigil_json_tape) {
    guard let tokens = tape.tokens, let text = tape.text, tape.count > 0 else { return nil }
    self.tokens = tokens
    self.count = tape.count
    self.text = UnsafeRawPointer(text)
  }

  @inline(__always)
  private func token(_ index: Int) -> vigil_json_token {
    precondition(index >= 0 && index < count)
    return tokens[index]
  }

  @inline(__always) func kind(_ index: Int) -> UInt8 { token(index).kind }
  @inline(__always) package func isKind(_ index: Int, _ kind: Kind) -> Bool { token(index).kind == kind.rawValue }
  /// The first token behind the value at `index` and all that is in it.
  @inline(__always) package func next(_ index: Int) -> Int { Int(token(index).next) }
  @inline(__always) func isEscaped(_ index: Int) -> Bool { token(index).escaped != 0 }

  /// The value's text; of a string without quotes, escapes unresolved.
  @inline(__always)
  package func bytes(_ index: Int) -> UnsafeRawBufferPointer {
    let token = token(index)
    return UnsafeRawBufferPointer(start: text + Int(token.offset), count: Int(token.length))
  }

  /// The value's text as it stands in the payload.
  func raw(_ index: Int) -> UnsafeRawBufferPointer {
    let bytes = bytes(index)
    guard isKind(index, .string), let start = bytes.baseAddress else { return bytes }
    return UnsafeRawBufferPointer(start: start - 1, count: bytes.count + 2)
  }

  /// The text from the element at `index` to the closing bracket of `array`, bracket included.
  func rawRest(from index: Int, of array: Int) -> UnsafeRawBufferPointer {
    let whole = bytes(array)
    guard let start = raw(index).baseAddress, let arrayStart = whole.baseAddress else { return whole }
    return UnsafeRawBufferPointer(start: start, count: arrayStart + whole.count - start)
  }

  /// How many elements an array (or members an object) has from the token at `index` on.
  func elementCount(from index: Int, of container: Int) -> Int {
    var count = 0
    var element = index
    let end = next(container)
    while element < end {
      count += 1
      element = next(element)
    }
    return count
  }
}

/// Owns simdjson's buffers, for one thread.
package final class JSONReader {
  private let handle: OpaquePointer

  package init() {
    guard let handle = vigil_json_create() else { preconditionFailure("out of memory for the JSON reader") }
    self.handle = handle
  }

  deinit { vigil_json_destroy(handle) }

  /// The tokens of a payload that is one valid JSON object or array from its first byte to its last, or nil.
  package func read(_ payload: UnsafeRawBufferPointer) -> JSONTape? {
    var tape = vigil_json_tape()
    let bytes = payload.bindMemory(to: UInt8.self)
    // Out of memory counts as unreadable too: the bytes are quarantined, not lost.
    guard vigil_json_read(handle, bytes.baseAddress, bytes.count, DecodingLimits.depthMax, &tape) == VIGIL_JSON_OK
    else { return nil }
    return JSONTape(tape)
  }

  /// The text of a string token with its escapes resolved; valid until the next call.
  ///
  /// - Returns: nil if the token is no string or its text as received is longer than `limit` bytes.
  @inline(__always)
  package func string(_ tape: JSONTape, _ index: Int, limit: Int) -> UnsafeRawBufferPointer? {
    guard tape.isKind(index, .string) else { return nil }
    let bytes = tape.bytes(index)
    guard bytes.count <= limit else { return nil }
    return tape.isEscaped(index) ? unescaped(index) : bytes
  }

  private func unescaped(_ index: Int) -> UnsafeRawBufferPointer? {
    var text: UnsafePointer<UInt8>?
    let count = vigil_json_unescape(handle, index, &text)
    return count < 0 ? nil : UnsafeRawBufferPointer(start: text, count: Int(count))
  }

  static func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.isEmpty || vigil_utf8_valid(bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count) == 1
  }
}

extension UnsafeRawBufferPointer {
  /// Whether the bytes are exactly `word`.
  @inline(__always)
  func isWord(_ word: StaticString) -> Bool {
    guard count == word.utf8CodeUnitCount, let start = baseAddress else { return false }
    return memcmp(start, word.utf8Start, count) == 0
  }

  /// Without JSON white space at both ends.
  var trimmed: UnsafeRawBufferPointer {
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }
    var start = 0
    var end = count
    while start < end, isSpace(self[start]) { start += 1 }
    while end > start, isSpace(self[end - 1]) { end -= 1 }
    return UnsafeRawBufferPointer(rebasing: self[start..<end])
  }

  /// Whether the bytes are `word` when ASCII letters' case does not matter; `word` is lower case.
  func isWordIgnoringCase(_ word: StaticString) -> Bool {
    guard count == word.utf8CodeUnitCount else { return false }
    return (0..<count).allSatisfy { index in
      let byte = self[index]
      return (byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte) == word.utf8Start[index]
    }
  }
}
