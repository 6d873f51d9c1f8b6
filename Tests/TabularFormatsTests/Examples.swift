import VitalModel

@testable import TabularFormats

/// A registry of a few vitals, and rows of them.
enum Examples {
  static let registry = VitalRegistry([
    vital("hr", "Heart rate", loinc: "8867-4", unit: "/min", units: [UnitConversion(unit: "bpm")]),
    vital(
      "spo2", "Oxygen saturation", loinc: "2708-6", unit: "%", units: [UnitConversion(unit: "1", numerator: 100)]),
    vital("sbp", "Systolic pressure", loinc: "8480-6", unit: "mm[Hg]"),
    vital("dbp", "Diastolic pressure", loinc: "8462-4", unit: "mm[Hg]"),
    vital(
      "temp", "Temperature", loinc: "8310-5", unit: "Cel",
      units: [
        UnitConversion(unit: "[degF]", offset: DecimalValue(mantissa: -32), numerator: 5, denominator: 9),
        UnitConversion(unit: "degF", offset: DecimalValue(mantissa: -32), numerator: 5, denominator: 9),
      ]),
    vital(
      "consciousness", "Consciousness", loinc: "80288-4", unit: "{ACVPU}",
      letters: [("A", 0), ("C", 1), ("V", 2), ("P", 3), ("U", 4)]),
    vital("own", "Our own", loinc: nil, unit: "1"),
  ])

  private static func vital(
    _ key: String, _ title: String, loinc: String?, unit: String, units: [UnitConversion] = [],
    letters: [(text: String, value: Int64)] = []
  ) -> VitalDefinition {
    VitalDefinition(
      key: key, title: title, loinc: loinc.map { [$0] } ?? [], unit: unit,
      units: [UnitConversion(unit: unit)] + units, rejectBelow: DecimalValue(mantissa: 0),
      rejectAbove: DecimalValue(mantissa: 1000), resolutionExponent: 0, staleness: 60_000, letters: letters)
  }

  static let names = ObservationNames(
    tenants: ["demo"], patients: ["p-1", "p 2/ü"], devices: ["d-9"], sources: ["pleth", "cuff"], registry: registry)

  /// 2026-01-01T00:00:00.123Z.
  static let time: Int64 = 1_767_225_600_123

  static func row(_ key: String, _ text: String, unit: UInt8 = 0, source: Int32 = -1, at offset: Int64 = 0)
    -> ObservationRow
  {
    ObservationRow(
      tenant: 0, patient: 0, device: 0, source: source, code: registry.code(key) ?? VitalCode(index: 0), unit: unit,
      time: time + offset, ingestTime: time + offset + 250, value: DecimalValue(text) ?? DecimalValue(mantissa: -1))
  }

  /// Every column once with a value and once without, where it may be without.
  static let few: [ObservationRow] = {
    var full = row("spo2", "0.930", unit: 1, source: 0)
    full.quality = SampleQuality(raw: 9300)
    full.sequence = 4711
    full.flags = [.hasSequence, .simulated]
    full.patient = 1
    var old = row("temp", "-0.5", at: 1000)
    old.isSuperseded = true
    old.statusRaw = SampleStatus.leadOff.rawValue
    return [full, row("consciousness", "3", at: 500), old]
  }()
}
