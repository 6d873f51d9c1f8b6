import VitalModel

/// The five characters that HL7 v2 text is built with, as the first nine bytes of MSH name them.
struct HL7Marks {
  let field: UInt8
  let component: UInt8
  let repetition: UInt8
  let escape: UInt8
  let subcomponent: UInt8

  /// Nil: too short, or two marks are the same or a letter or digit.
  init?(_ header: UnsafeRawBufferPointer) {
    guard header.count > 8 else { return nil }
    let marks = Array(header[3..<8])
    // HL7 v2.7 allows a sixth mark; what follows must be the first one again.
    guard header[8] == marks[0] || header.count > 9 && header[9] == marks[0] else { return nil }
    let isLetter = marks.contains { ($0 | 32) >= 97 && ($0 | 32) <= 122 || ($0 >= 48 && $0 <= 57) || $0 <= 32 }
    guard Set(marks).count == 5, !isLetter else { return nil }
    (field, component, repetition, escape, subcomponent) = (marks[0], marks[1], marks[2], marks[3], marks[4])
  }

  func fields(_ segment: UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer] { segment.parts(field) }

  /// Empty where the segment ends before it.
  func field(_ fields: [UnsafeRawBufferPointer], _ number: Int) -> UnsafeRawBufferPointer {
    fields.indices.contains(number) ? fields[number] : UnsafeRawBufferPointer(start: nil, count: 0)
  }

  func components(_ field: UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer] { field.parts(component) }

  /// From 1; empty where there is none.
  func component(_ field: UnsafeRawBufferPointer, _ number: Int) -> UnsafeRawBufferPointer {
    self.field(components(field), number - 1)
  }

  /// The first repetition.
  func first(_ field: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer { self.field(field.parts(repetition), 0) }

  /// With escape sequences resolved: the five marks and bytes as hexadecimal digits; others (highlighting) go.
  func text(_ raw: UnsafeRawBufferPointer) -> String {
    guard raw.contains(escape) else { return raw.string }
    var bytes: [UInt8] = []
    var index = 0
    while index < raw.count {
      guard raw[index] == escape, let end = raw[(index + 1)...].firstIndex(of: escape) else {
        bytes.append(raw[index])
        index += 1
        continue
      }
      bytes += resolved(UnsafeRawBufferPointer(rebasing: raw[(index + 1)..<end]))
      index = end + 1
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func resolved(_ code: UnsafeRawBufferPointer) -> [UInt8] {
    switch code.string {
    case "F": return [field]
    case "S": return [component]
    case "R": return [repetition]
    case "E": return [escape]
    case "T": return [subcomponent]
    default:
      guard code.first == UInt8(ascii: "X"), code.count % 2 == 1 else { return [] }
      return stride(from: 1, to: code.count, by: 2).compactMap {
        UInt8(String(decoding: code[$0..<$0 + 2], as: UTF8.self), radix: 16)
      }
    }
  }
}

/// `YYYYMMDDHHMM[SS[.S…]][+ZZZZ]`.
enum HL7Time {
  /// Milliseconds since 1970; a time without an offset of its own has `offset`, else it is UTC. Nil: no time, or only a day.
  static func parse(_ text: UnsafeRawBufferPointer, offset: String?) -> Int64? {
    let zone = HL7Time.offset(text)
    let rest = UnsafeRawBufferPointer(rebasing: text[..<(text.count - (zone == nil ? 0 : 5))])
    let digits = rest.prefix { $0 >= 48 && $0 <= 57 }
    guard digits.count == 12 || digits.count == 14 else { return nil }
    func part(_ range: Range<Int>) -> String { String(decoding: rest[range], as: UTF8.self) }
    let seconds = digits.count == 14 ? part(12..<14) : "00"
    let fraction = part(digits.count..<rest.count)
    // A fraction belongs to seconds.
    guard fraction.isEmpty || digits.count == 14 else { return nil }
    let minutes = zone ?? offset ?? "+0000"
    return Timestamp.parse(
      "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))T\(part(8..<10)):\(part(10..<12)):\(seconds)\(fraction)"
        + "\(minutes.prefix(3)):\(minutes.suffix(2))")
  }

  /// The offset at the end of a time, `+0100`; nil: none.
  static func offset(_ text: UnsafeRawBufferPointer) -> String? {
    guard text.count > 5 else { return nil }
    let tail = UnsafeRawBufferPointer(rebasing: text[(text.count - 5)...])
    guard tail[0] == UInt8(ascii: "+") || tail[0] == UInt8(ascii: "-"),
      tail[1...].allSatisfy({ $0 >= 48 && $0 <= 57 })
    else { return nil }
    return tail.string
  }
}

/// A number of type NM: a sign and zeros in front mean nothing (HL7 v2.6 section 2.A.46).
enum HL7Number {
  static func parse(_ text: UnsafeRawBufferPointer) -> DecimalValue? {
    var digits = text[...]
    let isNegative = digits.first == UInt8(ascii: "-")
    if isNegative || digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
    guard let first = digits.first, first != UInt8(ascii: "-"), digits.count <= 64 else { return nil }
    while digits.count > 1, digits.first == 48, let second = digits.dropFirst().first, second >= 48, second <= 57 {
      digits = digits.dropFirst()
    }
    let whole = digits.first == UInt8(ascii: ".") ? "0" : ""
    return DecimalValue((isNegative ? "-" : "") + whole + String(decoding: digits, as: UTF8.self))
  }
}

/// Units of ISO/IEEE 11073-10101, partition 4, as UCUM.
enum MDCUnits {
  private static let table: [(number: String, reference: String, names: [String])] = [
    ("262688", "MDC_DIM_PERCENT", ["%"]), ("262656", "MDC_DIM_DIMLESS", ["1"]),
    ("264864", "MDC_DIM_BEAT_PER_MIN", ["/min"]), ("264896", "MDC_DIM_PULS_PER_MIN", ["/min"]),
    ("264928", "MDC_DIM_RESP_PER_MIN", ["/min"]), ("266016", "MDC_DIM_MMHG", ["mm[Hg]"]),
    ("265987", "MDC_DIM_KILO_PASCAL", ["kPa"]), ("268192", "MDC_DIM_DEGC", ["Cel"]),
    ("266560", "MDC_DIM_FAHR", ["[degF]"]), ("264274", "MDC_DIM_MILLI_G_PER_DL", ["mg/dL"]),
    ("266866", "MDC_DIM_MILLI_MOLE_PER_L", ["mmol/L"]), ("263875", "MDC_DIM_KILO_G", ["kg"]),
    ("263904", "MDC_DIM_LB", ["[lb_av]"]), ("264320", "MDC_DIM_SEC", ["s"]),
    ("264338", "MDC_DIM_MILLI_SEC", ["ms"]), ("265216", "MDC_DIM_L_PER_MIN", ["L/min"]),
  ]

  /// UCUM names of a unit by its reference id or number; none: it is not in the table.
  static func names(of text: String) -> [String] {
    table.first { $0.number == text || $0.reference == text }?.names ?? []
  }
}

extension String {
  func withBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
    var copy = self
    return copy.withUTF8 { body(UnsafeRawBufferPointer($0)) }
  }
}
