import Glibc
import VitalModel

/// One observation in the plainest form of the native format: what recordings hold by the million.
package struct PlainMessage: BitwiseCopyable {
  /// Bytes of the line; the device's are empty where it names none.
  package var patient = UnsafeRawBufferPointer(start: nil, count: 0)
  package var device = UnsafeRawBufferPointer(start: nil, count: 0)
  /// Milliseconds since 1970, within ``Timestamp/accepted``.
  package var time: Int64 = 0
  package var code = VitalCode(index: 0)
  /// Position in ``VitalDefinition/units``.
  package var unit: UInt8 = 0
  /// The number exactly as it stands there, inside the vital's reject limits.
  package var value = DecimalValue(mantissa: 0)
  /// The device's number of the message; -1: none.
  package var sequence: Int64 = -1
}

/// Reads lines `{"patient":"p1","device":"d1","seq":7,"time":1795214280123,"code":"hr","value":72.5,"unit":"/min"}` in one
/// pass: members in any order, strings of plain ASCII, times in whole milliseconds, numbers without exponent, values that are
/// accepted.
///
/// It refuses nothing: whatever is not plainly so is left to ``MessageDecoder``, which says what it is. What it does read
/// is what ``MessageDecoder`` would have read.
package final class PlainMessageScanner {
  private let names: NameTable
  private let vitals: VitalTable
  private let accepted = Timestamp.accepted
  /// Short names met lately, by their bytes; the length is in the last byte.
  private let known: UnsafeMutablePointer<(name: UInt64, meaning: NameTable.Meaning)>
  private static let knownBits: UInt64 = 6

  package init(registry: VitalRegistry) {
    names = NameTable(registry)
    vitals = VitalTable(registry)
    let count = 1 << Int(PlainMessageScanner.knownBits)
    known = .allocate(capacity: count)
    known.initialize(repeating: (0, NameTable.Meaning(code: VitalCode(index: 0), unit: -1)), count: count)
  }

  deinit { known.deallocate() }

  /// What a code's name means, whatever its case; nil: nothing, or letters instead of numbers.
  @inline(__always)
  private func meaning(_ name: UnsafeRawBufferPointer) -> NameTable.Meaning? {
    guard name.count < 8 else { return lookUp(name) }
    var bytes = UInt64(name.count) << 56
    for index in 0..<name.count { bytes |= UInt64(name[index]) << UInt64(index * 8) }
    let place = known + Int((bytes &* 0x9E37_79B9_7F4A_7C15) >> (64 - PlainMessageScanner.knownBits))
    if place.pointee.name == bytes { return place.pointee.meaning }
    guard let meaning = lookUp(name) else { return nil }
    place.pointee = (bytes, meaning)
    return meaning
  }

  private func lookUp(_ name: UnsafeRawBufferPointer) -> NameTable.Meaning? {
    names.lookup(name).flatMap { vitals.hasLetters($0.code) ? nil : $0 }
  }

  private enum Member {
    static let patient: UInt8 = 1
    static let device: UInt8 = 2
    static let time: UInt8 = 4
    static let code: UInt8 = 8
    static let value: UInt8 = 16
    static let unit: UInt8 = 32
    static let sequence: UInt8 = 64
    static let needed = patient | time | code | value
  }

  /// The line's one observation; nil: it needs the full decoder. The bytes in it live as long as the line.
  package func scan(_ line: UnsafeRawBufferPointer) -> PlainMessage? {
    guard let base = line.baseAddress, line.count <= DecodingLimits.payloadBytesMax else { return nil }
    var cursor = Cursor(at: base.assumingMemoryBound(to: UInt8.self), end: line.count)
    guard cursor.take(0x7B) else { return nil }
    var message = PlainMessage()
    var code = UnsafeRawBufferPointer(start: nil, count: 0)
    var unit = code
    var seen: UInt8 = 0
    while true {
      guard let member = cursor.member() else { return nil }
      switch member {
      case Member.patient:
        guard let text = cursor.string(), text.count <= DecodingLimits.patientBytesMax else { return nil }
        message.patient = text
      case Member.device:
        guard let text = cursor.string() else { return nil }
        message.device = text
      case Member.time:
        guard let time = cursor.whole() else { return nil }
        message.time = time
      case Member.code:
        guard let text = cursor.string(), text.count <= DecodingLimits.shortTextBytesMax else { return nil }
        code = text
      case Member.value:
        guard let value = cursor.decimal() else { return nil }
        message.value = value
      case Member.unit:
        guard let text = cursor.string(), text.count <= DecodingLimits.shortTextBytesMax else { return nil }
        unit = text
      default:
        guard let sequence = cursor.whole() else { return nil }
        message.sequence = sequence
      }
      guard seen & member == 0 else { return nil }
      seen |= member
      if cursor.take(0x2C) { continue }
      guard cursor.take(0x7D), cursor.isAtEnd else { return nil }
      break
    }
    guard seen & Member.needed == Member.needed, message.time >= 100_000_000_000,
      accepted.contains(message.time), let meaning = meaning(code)
    else { return nil }
    message.code = meaning.code
    message.unit = meaning.unit < 0 ? 0 : UInt8(clamping: Int(meaning.unit))
    if seen & Member.unit != 0 {
      guard let number = vitals.unit(unit, of: meaning.code) else { return nil }
      message.unit = number
    }
    let isCredible = vitals.isCredible(message.value, unit: message.unit, of: message.code, source: SourceText())
    return isCredible ? message : nil
  }

  private struct Cursor {
    let base: UnsafePointer<UInt8>
    let end: Int
    var index = 0

    init(at base: UnsafePointer<UInt8>, end: Int) {
      self.base = base
      self.end = end
    }

    @inline(__always)
    var isAtEnd: Bool {
      mutating get {
        skipSpace()
        return index == end
      }
    }

    @inline(__always)
    private mutating func skipSpace() {
      while index < end, base[index] == 0x20 { index += 1 }
    }

    @inline(__always)
    mutating func take(_ byte: UInt8) -> Bool {
      skipSpace()
      guard index < end, base[index] == byte else { return false }
      index += 1
      return true
    }

    @inline(__always)
    private var eight: UInt64 {
      UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self).littleEndian
    }

    /// A key with its colon.
    @inline(__always)
    mutating func member() -> UInt8? {
      skipSpace()
      if index + 10 <= end {
        let bytes = eight
        // `"time":`, `"code":`, `"value":`, `"device"`, `"patient`
        if bytes & 0x00FF_FFFF_FFFF_FFFF == 0x003A_2265_6D69_7422 { return passed(7, Member.time) }
        if bytes & 0x00FF_FFFF_FFFF_FFFF == 0x003A_2265_646F_6322 { return passed(7, Member.code) }
        if bytes == 0x3A22_6575_6C61_7622 { return passed(8, Member.value) }
        if bytes == 0x2265_6369_7665_6422, base[index + 8] == 0x3A { return passed(9, Member.device) }
        if bytes == 0x746E_6569_7461_7022, base[index + 8] == 0x22, base[index + 9] == 0x3A {
          return passed(10, Member.patient)
        }
      }
      guard let key = string(), take(0x3A) else { return nil }
      if key.isWord("patient") { return Member.patient }
      if key.isWord("device") { return Member.device }
      if key.isWord("time") { return Member.time }
      if key.isWord("code") { return Member.code }
      if key.isWord("value") { return Member.value }
      if key.isWord("unit") { return Member.unit }
      if key.isWord("seq") { return Member.sequence }
      return nil
    }

    @inline(__always)
    private mutating func passed(_ count: Int, _ member: UInt8) -> UInt8 {
      index += count
      return member
    }

    /// Has the high bit of every byte that equals `byte`, up to the first such byte; above it there may be others.
    @inline(__always)
    private static func places(of byte: UInt64, in bytes: UInt64) -> UInt64 {
      let zeroes = bytes ^ (byte &* 0x0101_0101_0101_0101)
      return (zeroes &- 0x0101_0101_0101_0101) & ~zeroes & 0x8080_8080_8080_8080
    }

    /// The bytes between two quotes: at least one, printable ASCII, no escapes.
    @inline(__always)
    mutating func string() -> UnsafeRawBufferPointer? {
      guard take(0x22) else { return nil }
      let start = index
      while index + 8 <= end {
        let bytes = eight
        let quotes = Cursor.places(of: 0x22, in: bytes)
        let low = (bytes &- 0x2020_2020_2020_2020) & ~bytes
        let wrong =
          (bytes | low) & 0x8080_8080_8080_8080 | Cursor.places(of: 0x5C, in: bytes)
          | Cursor.places(of: 0x7F, in: bytes)
        // What stands below the first quote; all of it where there is none.
        guard wrong & ((quotes & (0 &- quotes)) &- 1) == 0 else { return nil }
        if quotes != 0 {
          index += quotes.trailingZeroBitCount >> 3
          break
        }
        index += 8
      }
      while index < end {
        let byte = base[index]
        if byte == 0x22 { break }
        guard byte >= 0x20, byte < 0x7F, byte != 0x5C else { return nil }
        index += 1
      }
      guard index < end, index > start else { return nil }
      index += 1
      return UnsafeRawBufferPointer(start: base + start, count: index - 1 - start)
    }

    /// Digits of a number up to 18, no leading zeros; nil also where a point or an exponent follows.
    @inline(__always)
    mutating func whole() -> Int64? {
      skipSpace()
      let start = index
      var number: Int64 = 0
      if index + 8 <= end {
        let bytes = eight
        let rest = (bytes &+ 0x0606_0606_0606_0606) & 0xF0F0_F0F0_F0F0_F0F0
        if bytes & 0xF0F0_F0F0_F0F0_F0F0 | rest >> 4 == 0x3333_3333_3333_3333 {
          let pairs = ((bytes & 0x0F0F_0F0F_0F0F_0F0F) &* 2561) >> 8
          let fours = ((pairs & 0x00FF_00FF_00FF_00FF) &* 6_553_601) >> 16
          number = Int64(((fours & 0x0000_FFFF_0000_FFFF) &* 42_949_672_960_001) >> 32)
          index += 8
        }
      }
      while index < end {
        let digit = base[index] &- 48
        guard digit <= 9 else { break }
        number = number &* 10 &+ Int64(digit)
        index += 1
      }
      let count = index - start
      guard count > 0, count <= 18, count == 1 || base[start] != 48, isDelimited else { return nil }
      return number
    }

    /// A number without exponent, its digits as they stand, at most 18.
    @inline(__always)
    mutating func decimal() -> DecimalValue? {
      skipSpace()
      let isNegative = index < end && base[index] == 0x2D
      if isNegative { index += 1 }
      let start = index
      var point = -1
      var mantissa: Int64 = 0
      while index < end {
        let byte = base[index]
        let digit = byte &- 48
        if digit <= 9 {
          mantissa = mantissa &* 10 &+ Int64(digit)
        } else if byte == 0x2E, point < 0 {
          point = index
        } else {
          break
        }
        index += 1
      }
      let places = point < 0 ? 0 : index - point - 1
      let wholes = (point < 0 ? index : point) - start
      guard wholes > 0, wholes + places <= 18, point < 0 || places > 0, wholes == 1 || base[start] != 48, isDelimited
      else { return nil }
      return DecimalValue(mantissa: isNegative ? -mantissa : mantissa, exponent: Int8(-places))
    }

    @inline(__always)
    private var isDelimited: Bool {
      guard index < end else { return false }
      let byte = base[index]
      return byte == 0x2C || byte == 0x7D || byte == 0x20
    }
  }
}
