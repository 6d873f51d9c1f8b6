/// Whose message a JSON line is: the members beside the message itself, found without a full parse. The message decoder
/// reads the same bytes afterwards and is the judge of the syntax.
struct LineHead: Equatable {
  var tenant: String?
  var device: String?
  var patient: String?
  var channel: String?
  /// RFC 3339 or milliseconds, as it stands.
  var ingestTime: String?

  /// Looks at the members of the outermost object only; anything odd is left out.
  init(_ line: UnsafeRawBufferPointer) {
    var scan = Scan(bytes: line)
    scan.skipSpace()
    guard scan.take(UInt8(ascii: "{")) else { return }
    while true {
      scan.skipSpace()
      guard let key = scan.string() else { return }
      scan.skipSpace()
      guard scan.take(UInt8(ascii: ":")) else { return }
      scan.skipSpace()
      switch key {
      case "tenant": tenant = scan.scalar()
      case "device": device = scan.scalar()
      case "patient": patient = scan.scalar()
      case "channel": channel = scan.scalar()
      case "ingest_time": ingestTime = scan.scalar()
      default: scan.skipValue()
      }
      scan.skipSpace()
      guard scan.take(UInt8(ascii: ",")) else { return }
    }
  }

  private struct Scan {
    let bytes: UnsafeRawBufferPointer
    var index = 0

    var current: UInt8 { index < bytes.count ? bytes[index] : 0 }

    mutating func skipSpace() {
      while index < bytes.count, bytes[index] == 32 || bytes[index] == 9 || bytes[index] == 13 { index += 1 }
    }

    mutating func take(_ byte: UInt8) -> Bool {
      guard index < bytes.count, bytes[index] == byte else { return false }
      index += 1
      return true
    }

    /// The bytes between two quotes, escapes still in them; the index behind the second.
    mutating func quoted() -> UnsafeRawBufferPointer? {
      guard take(UInt8(ascii: "\"")) else { return nil }
      let start = index
      while index < bytes.count, bytes[index] != 0x22 { index += bytes[index] == 0x5C ? 2 : 1 }
      guard index < bytes.count else { return nil }
      index += 1
      return UnsafeRawBufferPointer(rebasing: bytes[start..<index - 1])
    }

    mutating func string() -> String? {
      guard let raw = quoted() else { return nil }
      guard raw.contains(0x5C) else { return String(decoding: raw, as: UTF8.self) }
      return unescaped(raw)
    }

    /// A string, or the digits of a number; nil for anything else, which is passed over.
    mutating func scalar() -> String? {
      if current == 0x22 { return string() }
      let start = index
      skipValue()
      let text = String(decoding: bytes[start..<min(index, bytes.count)], as: UTF8.self)
      return text.first?.isNumber == true ? text.filter { $0 != " " } : nil
    }

    mutating func skipValue() {
      var depth = 0
      while index < bytes.count {
        switch bytes[index] {
        case 0x22:
          if quoted() == nil { index = bytes.count }
          continue
        case 0x7B, 0x5B: depth += 1
        case 0x7D, 0x5D:
          if depth == 0 { return }
          depth -= 1
        case 0x2C: if depth == 0 { return }
        default: break
        }
        index += 1
      }
    }

    /// JSON's escapes; half a surrogate pair becomes U+FFFD.
    private func unescaped(_ raw: UnsafeRawBufferPointer) -> String {
      var units: [UInt16] = []
      var text = ""
      var index = 0
      func flush() {
        text += String(decoding: units, as: UTF16.self)
        units.removeAll()
      }
      while index < raw.count {
        guard raw[index] == 0x5C, index + 1 < raw.count else {
          flush()
          let start = index
          while index < raw.count, raw[index] != 0x5C { index += 1 }
          if start == index { return text }
          text += String(decoding: raw[start..<index], as: UTF8.self)
          continue
        }
        let letter = raw[index + 1]
        index += 2
        switch letter {
        case UInt8(ascii: "n"): units.append(10)
        case UInt8(ascii: "r"): units.append(13)
        case UInt8(ascii: "t"): units.append(9)
        case UInt8(ascii: "b"): units.append(8)
        case UInt8(ascii: "f"): units.append(12)
        case UInt8(ascii: "u"):
          let digits = String(decoding: raw[index..<min(index + 4, raw.count)], as: UTF8.self)
          units.append(UInt16(digits, radix: 16) ?? 0xFFFD)
          index = min(index + 4, raw.count)
        default: units.append(UInt16(letter))
        }
      }
      flush()
      return text
    }
  }
}
