/// Texts that stand as members of JSON objects, with their places, found without taking the rest apart.
///
/// What is not JSON, or stops being it half way, gives what could be found up to there. O(bytes).
enum JSONMembers {
  struct Member: Hashable, Sendable {
    /// Name of the member; of an array's elements, the array's.
    var name: String
    /// The text, unescaped.
    var value: String
    /// Where it stands, between its quotes.
    var place: Range<Int>
  }

  /// Objects and arrays in one another that are followed.
  private static let depthMax = 256

  static func texts(in bytes: [UInt8]) -> [Member] {
    var found: [Member] = []
    // What was last named, by depth.
    var names = [""]
    var at = 0
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        guard names.count < depthMax else { return found }
        names.append(names[names.count - 1])
      case UInt8(ascii: "}"), UInt8(ascii: "]"): if names.count > 1 { names.removeLast() }
      case UInt8(ascii: "\""):
        guard let end = endOfText(bytes, from: at + 1) else { return found }
        let place = at + 1..<end
        at = end
        let value = unescaped(bytes[place])
        if isName(bytes, after: end + 1) {
          names[names.count - 1] = value
        } else {
          found.append(Member(name: names[names.count - 1], value: value, place: place))
        }
      default: break
      }
      at += 1
    }
    return found
  }

  /// The same bytes with other texts in some places.
  ///
  /// - Precondition: places rise; replacements need no escapes.
  static func replacing(_ changes: [(place: Range<Int>, text: String)], in bytes: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(bytes.count)
    var from = 0
    for change in changes {
      out += bytes[from..<change.place.lowerBound]
      out += Array(change.text.utf8)
      from = change.place.upperBound
    }
    return out + bytes[from...]
  }

  private static func endOfText(_ bytes: [UInt8], from start: Int) -> Int? {
    var at = start
    while at < bytes.count {
      if bytes[at] == UInt8(ascii: "\"") { return at }
      at += bytes[at] == UInt8(ascii: "\\") ? 2 : 1
    }
    return nil
  }

  private static func isName(_ bytes: [UInt8], after start: Int) -> Bool {
    var at = start
    while at < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) { at += 1 }
    return at < bytes.count && bytes[at] == UInt8(ascii: ":")
  }

  private static func unescaped(_ text: ArraySlice<UInt8>) -> String {
    guard text.contains(UInt8(ascii: "\\")) else { return String(decoding: text, as: UTF8.self) }
    var units: [UInt16] = []
    var rest = String(decoding: text, as: UTF8.self).utf16[...]
    while let unit = rest.popFirst() {
      guard unit == UInt16(UInt8(ascii: "\\")), let sign = rest.popFirst() else {
        units.append(unit)
        continue
      }
      switch UInt8(truncatingIfNeeded: sign) {
      case UInt8(ascii: "n"): units.append(0x0A)
      case UInt8(ascii: "r"): units.append(0x0D)
      case UInt8(ascii: "t"): units.append(0x09)
      case UInt8(ascii: "b"): units.append(0x08)
      case UInt8(ascii: "f"): units.append(0x0C)
      case UInt8(ascii: "u"):
        units.append(UInt16(String(decoding: rest.prefix(4), as: UTF16.self), radix: 16) ?? 0xFFFD)
        rest = rest.dropFirst(4)
      default: units.append(sign)
      }
    }
    return String(decoding: units, as: UTF16.self)
  }
}
