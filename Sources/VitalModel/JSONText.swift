/// Writes JSON text with keys in the order given: equal values are equal bytes.
package struct JSONText: Sendable {
  package private(set) var bytes: [UInt8] = []
  private var needsComma = false

  package init() {}

  package var text: String { String(decoding: bytes, as: UTF8.self) }

  /// An unnamed object (top level or array element).
  package mutating func object(_ body: (inout JSONText) -> Void) {
    separate()
    wrap(UInt8(ascii: "{"), UInt8(ascii: "}"), body)
  }
  package mutating func object(_ key: String, _ body: (inout JSONText) -> Void) {
    name(key)
    wrap(UInt8(ascii: "{"), UInt8(ascii: "}"), body)
  }
  package mutating func array(_ body: (inout JSONText) -> Void) {
    separate()
    wrap(UInt8(ascii: "["), UInt8(ascii: "]"), body)
  }
  package mutating func array(_ key: String, _ body: (inout JSONText) -> Void) {
    name(key)
    wrap(UInt8(ascii: "["), UInt8(ascii: "]"), body)
  }

  package mutating func field(_ key: String, _ value: String?) {
    guard let value else { return null(key) }
    name(key)
    quote(value)
    needsComma = true
  }
  package mutating func field(_ key: String, _ value: Int?) { raw(key, value.map(String.init)) }
  package mutating func field(_ key: String, _ value: Bool) { raw(key, value ? "true" : "false") }
  package mutating func field(_ key: String, _ value: DecimalValue?) { raw(key, value?.description) }
  package mutating func field(_ key: String, _ value: [String]) {
    array(key) { out in for element in value { out.element(element) } }
  }
  /// Shortest text that reads back as the same double; a number that JSON cannot hold becomes null.
  package mutating func field(_ key: String, _ value: Double?) {
    raw(key, value.flatMap { $0.isFinite ? ($0 == $0.rounded() && abs($0) < 1e15 ? String(Int64($0)) : "\($0)") : nil })
  }
  package mutating func null(_ key: String) { raw(key, "null") }

  package mutating func element(_ value: String) {
    separate()
    quote(value)
    needsComma = true
  }
  /// An array element that is JSON text already.
  package mutating func rawElement(_ json: String) {
    separate()
    bytes.append(contentsOf: json.utf8)
    needsComma = true
  }
  /// A field whose value is JSON text already; nil writes null.
  package mutating func raw(_ key: String, _ json: String?) {
    name(key)
    bytes.append(contentsOf: (json ?? "null").utf8)
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = false
  }
  private mutating func name(_ key: String) {
    separate()
    quote(key)
    bytes.append(UInt8(ascii: ":"))
  }
  private mutating func wrap(_ open: UInt8, _ close: UInt8, _ body: (inout JSONText) -> Void) {
    bytes.append(open)
    needsComma = false
    body(&self)
    bytes.append(close)
    needsComma = true
  }
  private mutating func quote(_ value: String) {
    bytes.append(UInt8(ascii: "\""))
    var text = value
    text.withUTF8 { append(escaping: $0) }
    bytes.append(UInt8(ascii: "\""))
  }

  /// Stretches that need no escape, which mostly is all of it, go over at once.
  private mutating func append(escaping text: UnsafeBufferPointer<UInt8>) {
    var start = 0
    for (index, byte) in text.enumerated()
    where byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
      bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[start..<index]))
      escape(byte)
      start = index + 1
    }
    bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[start...]))
  }

  private mutating func escape(_ byte: UInt8) {
    bytes.append(UInt8(ascii: "\\"))
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(byte)
    case 0x0A: bytes.append(UInt8(ascii: "n"))
    case 0x0D: bytes.append(UInt8(ascii: "r"))
    case 0x09: bytes.append(UInt8(ascii: "t"))
    default:
      bytes.append(contentsOf: "u00".utf8)
      for digit in [byte >> 4, byte & 15] { bytes.append(digit < 10 ? 0x30 + digit : 0x57 + digit) }
    }
  }
}
