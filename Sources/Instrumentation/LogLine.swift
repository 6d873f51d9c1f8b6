/// One JSON object being written, kept within the length of a line that is written in one piece.
struct LogLine {
  /// Room kept for the closing mark that says that fields were left out.
  private static let tail = #","truncated":true}"#
  /// Longest text value in bytes of UTF-8; a longer one ends in an ellipsis.
  static let valueBytesMax = 512

  private var bytes: [UInt8] = [UInt8(ascii: "{")]
  private var isTruncated = false

  /// Appends a field, or marks the line as truncated when it does not fit.
  mutating func append(_ key: String, _ value: LogValue) {
    var field: [UInt8] = bytes.count > 1 ? [UInt8(ascii: ",")] : []
    Self.appendQuoted(key, to: &field)
    field.append(UInt8(ascii: ":"))
    switch value {
    case .string(let text): Self.appendQuoted(Self.shortened(text), to: &field)
    case .int(let number): field += Array(String(number).utf8)
    case .double(let number) where number.isFinite: field += Array(String(number).utf8)
    case .double(let number): Self.appendQuoted(String(number), to: &field)
    case .bool(let flag): field += Array((flag ? "true" : "false").utf8)
    }
    guard bytes.count + field.count + Self.tail.utf8.count + 1 <= Log.lineBytesMax else {
      isTruncated = true
      return
    }
    bytes += field
  }

  /// The line with its end and newline.
  consuming func finish() -> [UInt8] {
    var line = bytes
    line += isTruncated ? Array(Self.tail.utf8) : [UInt8(ascii: "}")]
    line.append(UInt8(ascii: "\n"))
    return line
  }

  private static func shortened(_ text: String) -> String {
    guard text.utf8.count > valueBytesMax else { return text }
    var kept = String.UnicodeScalarView()
    var length = 0
    for scalar in text.unicodeScalars {
      length += String(scalar).utf8.count
      if length > valueBytesMax { break }
      kept.append(scalar)
    }
    return String(kept) + "…"
  }

  /// JSON text: quotes, backslashes and control characters escaped, so that no value can forge a line or a field.
  private static func appendQuoted(_ text: String, to bytes: inout [UInt8]) {
    let digits = Array("0123456789abcdef".utf8)
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case UInt8(ascii: "\n"): bytes += Array("\\n".utf8)
      case UInt8(ascii: "\t"): bytes += Array("\\t".utf8)
      case 0..<0x20, 0x7F:
        bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}
