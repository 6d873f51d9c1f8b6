import Glibc
import VitalModel

/// What the decoder needs of every vital, in flat arrays: reading a ``VitalDefinition`` would retain a dozen of its fields
/// for every observation.
struct VitalTable {
  private struct Name: BitwiseCopyable {
    var offset: UInt32
    var length: UInt32
  }

  private struct Unit: BitwiseCopyable {
    var name: Name
    var offset: DecimalValue
    var numerator: Int64
    var denominator: Int64
    /// canonical = (value + `roughOffset`) x `roughFactor`, nearly.
    var roughOffset: Double
    var roughFactor: Double
    /// Nearer than this to a limit, only the exact comparison decides.
    var roughMargin: Double
  }

  private struct Letter: BitwiseCopyable {
    var name: Name
    var value: Int64
  }

  private struct Vital {
    var units: Range<Int32>
    var letters: Range<Int32>
    var rejectBelow: DecimalValue
    var rejectAbove: DecimalValue
    var roughBelow: Double
    var roughAbove: Double
    var hasZeroRule: Bool
    var pressure: PressureRole
  }

  private let registry: VitalRegistry
  private var vitals: [Vital] = []
  private var units: [Unit] = []
  private var letters: [Letter] = []
  private var text: [UInt8] = []

  init(_ registry: VitalRegistry) {
    self.registry = registry
    for vital in registry.vitals { append(vital) }
    for role in PressureRole.allCases where role != .none {
      guard let code = registry.code(role.key) else { continue }
      vitals[Int(code.index)].pressure = role
    }
  }

  private mutating func append(_ vital: VitalDefinition) {
    let firstUnit = Int32(units.count)
    // A slot numbers units with 8 bits.
    for conversion in vital.units.prefix(256) { append(conversion, of: vital) }
    let firstLetter = Int32(letters.count)
    for letter in vital.letters { letters.append(Letter(name: intern(letter.text), value: letter.value)) }
    vitals.append(
      Vital(
        units: firstUnit..<Int32(units.count), letters: firstLetter..<Int32(letters.count),
        rejectBelow: vital.rejectBelow, rejectAbove: vital.rejectAbove, roughBelow: vital.rejectBelow.double,
        roughAbove: vital.rejectAbove.double, hasZeroRule: vital.zeroSources != nil, pressure: .none))
  }

  private mutating func append(_ conversion: UnitConversion, of vital: VitalDefinition) {
    let offset = conversion.offset.double
    let factor = Double(conversion.numerator) / Double(max(conversion.denominator, 1))
    let size = 1 + abs(vital.rejectBelow.double) + abs(vital.rejectAbove.double) + abs(offset * factor)
    units.append(
      Unit(
        name: intern(conversion.unit), offset: conversion.offset, numerator: conversion.numerator,
        denominator: conversion.denominator, roughOffset: offset, roughFactor: factor, roughMargin: size * 1e-9))
  }

  private mutating func intern(_ string: String) -> Name {
    let name = Name(offset: UInt32(text.count), length: UInt32(string.utf8.count))
    text += string.utf8
    return name
  }

  @inline(__always)
  private func isName(_ name: Name, _ bytes: UnsafeRawBufferPointer) -> Bool {
    guard Int(name.length) == bytes.count, let start = bytes.baseAddress else { return false }
    return text.withUnsafeBytes { text in
      guard let base = text.baseAddress else { return false }
      return memcmp(base + Int(name.offset), start, bytes.count) == 0
    }
  }

  /// The number of the unit with exactly this name.
  func unit(_ name: UnsafeRawBufferPointer, of code: VitalCode) -> UInt8? {
    let range = vitals[Int(code.index)].units
    for index in range where isName(units[Int(index)].name, name) { return UInt8(index - range.lowerBound) }
    return nil
  }

  /// Whether the vital is sent as letters, not as numbers.
  func hasLetters(_ code: VitalCode) -> Bool { !vitals[Int(code.index)].letters.isEmpty }

  /// The number that stands for a letter.
  func letter(_ name: UnsafeRawBufferPointer, of code: VitalCode) -> Int64? {
    for index in vitals[Int(code.index)].letters where isName(letters[Int(index)].name, name) {
      return letters[Int(index)].value
    }
    return nil
  }

  func pressureRole(_ code: VitalCode) -> PressureRole { vitals[Int(code.index)].pressure }

  /// The number in the canonical unit, exactly; nil beyond 128 bits.
  func canonical(_ value: DecimalValue, unit: UInt8, of code: VitalCode) -> CanonicalQuantity? {
    let range = vitals[Int(code.index)].units
    guard Int32(unit) < range.upperBound - range.lowerBound else { return nil }
    let unit = units[Int(range.lowerBound + Int32(unit))]
    return CanonicalQuantity(
      value, offset: unit.offset, numerator: unit.numerator, denominator: unit.denominator)
  }

  /// Whether the number lies within the reject limits, both ends accepted, and a zero comes from a source that can
  /// measure one. Decided on the exact, unrounded number.
  func isCredible(_ value: DecimalValue, unit: UInt8, of code: VitalCode, source: SourceText) -> Bool {
    let vital = vitals[Int(code.index)]
    guard Int32(unit) < vital.units.upperBound - vital.units.lowerBound else { return false }
    let conversion = units[Int(vital.units.lowerBound + Int32(unit))]
    let rough = (value.double + conversion.roughOffset) * conversion.roughFactor
    let margin = conversion.roughMargin
    let mayBeZero = vital.hasZeroRule && abs(rough) <= margin
    if rough > vital.roughBelow + margin, rough < vital.roughAbove - margin, !mayBeZero { return true }
    if rough < vital.roughBelow - margin || rough > vital.roughAbove + margin { return false }
    guard let exact = canonical(value, unit: unit, of: code),
      let below = CanonicalQuantity(canonical: vital.rejectBelow),
      let above = CanonicalQuantity(canonical: vital.rejectAbove), !(exact < below), !(above < exact)
    else { return false }
    guard vital.hasZeroRule, exact.isZero else { return true }
    return source.withBytes { bytes in
      registry[code].zeroSources?.contains { bytes.elementsEqual($0.utf8) } ?? true
    }
  }
}

/// Which part of a blood pressure a vital is.
enum PressureRole: UInt8, CaseIterable {
  case none = 0
  case cuffSystolic = 1
  case cuffDiastolic = 2
  case arterialSystolic = 4
  case arterialDiastolic = 8

  /// Its registry key.
  var key: String {
    switch self {
    case .none: ""
    case .cuffSystolic: "sbp"
    case .cuffDiastolic: "dbp"
    case .arterialSystolic: "abp_sys"
    case .arterialDiastolic: "abp_dia"
    }
  }

  var isSystolic: Bool { self == .cuffSystolic || self == .arterialSystolic }
  var isArterial: Bool { self == .arterialSystolic || self == .arterialDiastolic }

  /// Whether a set of raw values holds a systolic and a diastolic of one kind.
  static func holdsPair(_ roles: UInt8) -> Bool { roles & 3 == 3 || roles & 12 == 12 }
}
