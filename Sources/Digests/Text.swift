// Bytes as text and back: hexadecimal and base64 (RFC 4648). Decoding is strict: one text for one byte string.

private let lowerDigits = Array("0123456789abcdef".utf8)
private let base64Digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

/// Two lower-case hexadecimal digits a byte.
package func hex(_ bytes: some Sequence<UInt8>) -> String {
  var text: [UInt8] = []
  text.reserveCapacity(2 * bytes.underestimatedCount)
  for byte in bytes {
    text.append(lowerDigits[Int(byte >> 4)])
    text.append(lowerDigits[Int(byte & 15)])
  }
  return String(decoding: text, as: UTF8.self)
}

/// The bytes two hexadecimal digits each stand for, either case; nil when the text is anything else.
package func bytes(hex text: String) -> [UInt8]? {
  let digits = Array(text.utf8)
  guard digits.count.isMultiple(of: 2) else { return nil }
  var bytes: [UInt8] = []
  bytes.reserveCapacity(digits.count / 2)
  for index in stride(from: 0, to: digits.count, by: 2) {
    guard let high = hexValue(digits[index]), let low = hexValue(digits[index + 1]) else { return nil }
    bytes.append(high << 4 | low)
  }
  return bytes
}

private func hexValue(_ digit: UInt8) -> UInt8? {
  switch digit {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
  default: nil
  }
}

/// Base64 with the standard alphabet and padding (RFC 4648 section 4).
package func base64(_ bytes: [UInt8]) -> String {
  var text: [UInt8] = []
  text.reserveCapacity((bytes.count + 2) / 3 * 4)
  for start in stride(from: 0, to: bytes.count, by: 3) {
    let group = bytes[start..<min(start + 3, bytes.count)]
    var bits: UInt32 = 0
    for byte in group { bits = bits << 8 | UInt32(byte) }
    bits <<= UInt32(8 * (3 - group.count))
    for place in 0..<4 {
      let digit = base64Digits[Int(bits >> UInt32(18 - 6 * place) & 63)]
      text.append(place <= group.count ? digit : UInt8(ascii: "="))
    }
  }
  return String(decoding: text, as: UTF8.self)
}

/// The bytes a padded standard base64 text stands for.
///
/// Nil for anything `base64` would not have written: white space, missing padding, other alphabets, stray low bits.
package func bytes(base64 text: String) -> [UInt8]? {
  let digits = Array(text.utf8)
  guard digits.count.isMultiple(of: 4) else { return nil }
  let padding = digits.reversed().prefix(2).prefix { $0 == UInt8(ascii: "=") }.count
  var bytes: [UInt8] = []
  bytes.reserveCapacity(digits.count / 4 * 3)
  var bits: UInt32 = 0
  for (index, digit) in digits.dropLast(padding).enumerated() {
    guard let value = base64Value(digit) else { return nil }
    bits = bits << 6 | UInt32(value)
    if index % 4 == 3 {
      bytes.append(UInt8(truncatingIfNeeded: bits >> 16))
      bytes.append(UInt8(truncatingIfNeeded: bits >> 8))
      bytes.append(UInt8(truncatingIfNeeded: bits))
      bits = 0
    }
  }
  switch padding {
  case 1:
    guard bits & 3 == 0 else { return nil }
    bytes.append(UInt8(truncatingIfNeeded: bits >> 10))
    bytes.append(UInt8(truncatingIfNeeded: bits >> 2))
  case 2:
    guard bits & 15 == 0 else { return nil }
    bytes.append(UInt8(truncatingIfNeeded: bits >> 4))
  default: break
  }
  return bytes
}

/// Base64 with the alphabet of URLs and without padding (RFC 4648 section 5).
package func base64URL(_ bytes: [UInt8]) -> String {
  let standard = base64(bytes).utf8.compactMap { digit -> UInt8? in
    switch digit {
    case UInt8(ascii: "+"): UInt8(ascii: "-")
    case UInt8(ascii: "/"): UInt8(ascii: "_")
    case UInt8(ascii: "="): nil
    default: digit
    }
  }
  return String(decoding: standard, as: UTF8.self)
}

/// The bytes a base64 text of URLs stands for; nil for anything `base64URL` would not have written.
package func bytes(base64URL text: String) -> [UInt8]? {
  var standard: [UInt8] = []
  for digit in text.utf8 {
    switch digit {
    case UInt8(ascii: "-"): standard.append(UInt8(ascii: "+"))
    case UInt8(ascii: "_"): standard.append(UInt8(ascii: "/"))
    case UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="): return nil
    default: standard.append(digit)
    }
  }
  while !standard.count.isMultiple(of: 4) { standard.append(UInt8(ascii: "=")) }
  return bytes(base64: String(decoding: standard, as: UTF8.self))
}

private func base64Value(_ digit: UInt8) -> UInt8? {
  switch digit {
  case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit - UInt8(ascii: "A")
  case UInt8(ascii: "a")...UInt8(ascii: "z"): digit - UInt8(ascii: "a") + 26
  case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0") + 52
  case UInt8(ascii: "+"): 62
  case UInt8(ascii: "/"): 63
  default: nil
  }
}
