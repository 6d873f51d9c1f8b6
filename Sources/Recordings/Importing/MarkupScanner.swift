import Compression
import Glibc

/// The tags of an XML text, read in blocks: enough for records whose content is in attributes. Texts between tags, comments,
/// declarations and instructions are passed over. It judges no well-formedness beyond what it needs.
final class MarkupScanner {
  enum Kind { case start, empty, end }

  /// A tag longer than this is passed over, bytes.
  static let longest = 1 << 16

  /// Line at which the tag given out last begins, from 1.
  private(set) var line = 1
  /// Tags longer than ``longest`` so far.
  private(set) var oversize = 0
  /// Whether the text ended inside a tag.
  private(set) var endsInside = false
  private(set) var kind = Kind.start

  private var source: any ByteSource
  private let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 16)
  private var next = 0
  private var end = 0
  private var currentLine = 1
  /// The tag's text between its angle brackets.
  private var tag: [UInt8] = []

  init(_ source: any ByteSource) { self.source = source }

  deinit { block.deallocate() }

  /// Moves to the next tag; false at the end.
  func advance() throws(CompressionError) -> Bool {
    while try passTo(0x3C) {
      line = currentLine
      guard try takeTag() else { continue }
      switch tag.first {
      case nil, UInt8(ascii: "?"): continue
      case UInt8(ascii: "!"): continue
      case UInt8(ascii: "/"):
        kind = .end
        tag.removeFirst()
      default:
        kind = tag.last == UInt8(ascii: "/") ? .empty : .start
        if kind == .empty { tag.removeLast() }
      }
      return true
    }
    return false
  }

  func isNamed(_ name: StaticString) -> Bool {
    let count = name.utf8CodeUnitCount
    guard tag.count >= count, tag.count == count || MarkupScanner.isSpace(tag[count]) else { return false }
    return tag.withUnsafeBytes {
      memcmp($0.baseAddress ?? UnsafeRawPointer(name.utf8Start), name.utf8Start, count) == 0
    }
  }

  /// An attribute's value with entities resolved; nil: the tag has none of this name, or it cannot be read.
  func attribute(_ name: StaticString) -> String? {
    var index = tag.firstIndex(where: MarkupScanner.isSpace) ?? tag.count
    while true {
      while index < tag.count, MarkupScanner.isSpace(tag[index]) { index += 1 }
      let start = index
      while index < tag.count, tag[index] != 0x3D, !MarkupScanner.isSpace(tag[index]) { index += 1 }
      let found = tag[start..<index]
      while index < tag.count, MarkupScanner.isSpace(tag[index]) { index += 1 }
      guard index < tag.count, tag[index] == 0x3D else { return nil }
      index += 1
      while index < tag.count, MarkupScanner.isSpace(tag[index]) { index += 1 }
      guard index < tag.count, tag[index] == 0x22 || tag[index] == 0x27 else { return nil }
      let quote = tag[index]
      guard let close = tag[(index + 1)...].firstIndex(of: quote) else { return nil }
      if found.elementsEqual(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)) {
        return MarkupScanner.resolved(String(decoding: tag[(index + 1)..<close], as: UTF8.self))
      }
      index = close + 1
    }
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (byte >= 9 && byte <= 13) }

  private static func resolved(_ text: String) -> String {
    guard text.utf8.contains(0x26) else { return text }
    var result = ""
    var rest = text[...]
    while let ampersand = rest.firstIndex(of: "&") {
      result += rest[..<ampersand]
      guard let end = rest[ampersand...].firstIndex(of: ";") else { break }
      let name = rest[rest.index(after: ampersand)..<end]
      let known = ["lt": "<", "gt": ">", "amp": "&", "quot": "\"", "apos": "'"][String(name)]
      result += known ?? character(name) ?? "\u{FFFD}"
      rest = rest[rest.index(after: end)...]
    }
    return result + rest
  }

  private static func character(_ name: Substring) -> String? {
    guard name.hasPrefix("#") else { return nil }
    let digits = name.dropFirst()
    let number = digits.hasPrefix("x") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
    return number.flatMap(Unicode.Scalar.init).map { String(Character($0)) }
  }

  // MARK: Bytes

  private func fill() throws(CompressionError) -> Bool {
    next = 0
    end = try source.read(into: block)
    return end > 0
  }

  /// Moves behind the next `byte`; false at the end.
  private func passTo(_ byte: UInt8) throws(CompressionError) -> Bool {
    while true {
      if next == end, try !fill() { return false }
      while next < end {
        let found = block[next]
        next += 1
        if found == byte { return true }
        if found == 10 { currentLine += 1 }
      }
    }
  }

  private func byte() throws(CompressionError) -> UInt8? {
    if next == end, try !fill() { return nil }
    defer { next += 1 }
    if block[next] == 10 { currentLine += 1 }
    return block[next]
  }

  /// Reads the text up to the tag's `>`; a `>` in quotes does not end it. False: it was passed over.
  private func takeTag() throws(CompressionError) -> Bool {
    tag.removeAll(keepingCapacity: true)
    var quote: UInt8 = 0
    var brackets = 0
    var isTooLong = false
    while let byte = try byte() {
      if tag.count == 3, tag.elementsEqual("!--".utf8) {
        try passComment(first: byte)
        return false
      }
      // Inside a declaration's brackets quotes, comments and tags are its own.
      let isDeclaration = tag.first == UInt8(ascii: "!")
      if quote != 0 {
        if byte == quote { quote = 0 }
      } else if byte == 0x22 || byte == 0x27, !isDeclaration {
        quote = byte
      } else if isDeclaration, byte == UInt8(ascii: "[") {
        brackets += 1
      } else if isDeclaration, byte == UInt8(ascii: "]") {
        brackets -= 1
      } else if byte == 0x3E, brackets <= 0 {
        if isTooLong { oversize += 1 }
        return !isTooLong
      }
      if tag.count < MarkupScanner.longest { tag.append(byte) } else { isTooLong = true }
    }
    endsInside = true
    return false
  }

  private func passComment(first: UInt8) throws(CompressionError) {
    var dashes = first == 0x2D ? 1 : 0
    while let byte = try byte() {
      if byte == 0x3E, dashes >= 2 { return }
      dashes = byte == 0x2D ? dashes + 1 : 0
    }
    endsInside = true
  }
}
