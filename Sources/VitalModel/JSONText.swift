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
    for byte in value.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
      case 0x0A: bytes.append(contentsOf: Array("\\n".utf8))
      case 0x0D: bytes.append(contentsOf: Array("\\r".utf8))
      case 0x09: bytes.append(contentsOf: Array("\\t".utf8))
      case 0..<0x20:
        let digits = Array("0123456789abcdef".utf8)
        bytes.append(contentsOf: Array("\\u00".utf8))
        bytes.append(digits[Int(byte >> 4)])
        bytes.append(digits[Int(byte & 15)])
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}
