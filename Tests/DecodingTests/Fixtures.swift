import VitalModel

@testable import Decoding

/// 2026-11-20T22:38:00.123Z
let eventMoment: Int64 = 1_795_214_280_123
let receiveMoment: Int64 = 1_795_214_290_000

private func decimal(_ text: String) -> DecimalValue { DecimalValue(text) ?? DecimalValue(mantissa: 0) }

private func vital(
  _ key: String, _ loinc: [String], _ mdc: [(String, Int)], _ units: [UnitConversion], _ below: String, _ above: String,
  aliases: [String: String] = [:], zeroSources: [String]? = nil, letters: [(text: String, value: Int64)] = []
) -> VitalDefinition {
  VitalDefinition(
    key: key, title: key, loinc: loinc, mdc: mdc.map { MDCTerm(referenceID: $0.0, number: $0.1) }, unit: units[0].unit,
    units: units, aliases: aliases, rejectBelow: decimal(below), rejectAbove: decimal(above), zeroSources: zeroSources,
    resolutionExponent: 0, staleness: 60_000, letters: letters)
}

private func unit(_ name: String, offset: String = "0", _ numerator: Int64 = 1, _ denominator: Int64 = 1)
  -> UnitConversion
{
  UnitConversion(unit: name, offset: decimal(offset), numerator: numerator, denominator: denominator)
}

private let rates = [unit("/min"), unit("{beat}/min"), unit("bpm"), unit("beat/min"), unit("Hz", 60)]
private let pressures = [unit("mm[Hg]"), unit("kPa", 760_000, 101_325)]

/// A small registry with every kind of vital the decoder treats differently.
let registry = VitalRegistry([
  vital("hr", ["8867-4"], [("MDC_ECG_HEART_RATE", 147_842)], rates, "0", "350", zeroSources: ["ecg"]),
  vital("spo2", ["2708-6", "59408-5"], [("MDC_PULS_OXIM_SAT_O2", 150_456)], [unit("%"), unit("/", 100)], "1", "100"),
  vital("sbp", ["8480-6"], [("MDC_PRESS_BLD_NONINV_SYS", 150_021)], pressures, "10", "350"),
  vital("dbp", ["8462-4"], [("MDC_PRESS_BLD_NONINV_DIA", 150_022)], pressures, "5", "250"),
  vital("abp_sys", ["76215-3"], [("MDC_PRESS_BLD_ART_ABP_SYS", 150_037)], pressures, "10", "350"),
  vital("abp_dia", ["76213-8"], [("MDC_PRESS_BLD_ART_ABP_DIA", 150_038)], pressures, "5", "250"),
  vital(
    "temp", ["8310-5"], [("MDC_TEMP_CORE", 150_368)],
    [unit("Cel"), unit("[degF]", offset: "-32", 5, 9), unit("K", offset: "-273.15")], "20", "46",
    aliases: ["temp_c": "Cel", "temp_f": "[degF]", "température": "Cel"]),
  vital("glucose", ["99504-3"], [], [unit("mg/dL"), unit("mmol/L", 180_156, 10_000)], "10", "1000"),
  vital("steps", ["55423-8"], [], [unit("{steps}")], "0", "1000000"),
  vital(
    "consciousness", ["80288-4"], [], [unit("{ACVPU}")], "0", "4",
    letters: [("A", 0), ("C", 1), ("V", 2), ("P", 3), ("U", 4)]),
])

/// The results of one payload as values that may be kept.
struct Decoded {
  var observations: [DecodedObservation]
  var refusals: [Refusal]
  var pressures: [InconsistentPressure]
  var state: DeviceState?
  var events: [DeviceEvent]
  var empty: Int
  var seen: Int

  var reasons: [QuarantineReason] { refusals.map(\.reason) }
  /// `key=value` of every observation, with its unit's number if it is not the canonical one.
  var summary: [String] {
    observations.map { observation in
      let unit = observation.unit == 0 ? "" : "@\(observation.unit)"
      return "\(registry[observation.code].key)=\(observation.value)\(unit)"
    }
  }
  /// Which observations end a message.
  var ends: [Int] { observations.indices.filter { observations[$0].flags.contains(.endOfMessage) } }
}

extension MessageDecoder {
  func decoded(
    _ payload: [UInt8], _ channel: Channel = .vitals, type: String? = nil, format: PayloadFormat = .automatic,
    retained: Bool = false, resumed: Bool = false, redelivered: Bool = false
  ) -> Decoded {
    let arrival = Arrival(
      receivedAt: receiveMoment, retained: retained, resumedSession: resumed, redelivered: redelivered)
    payload.withUnsafeBytes { bytes in
      guard let type else { return decode(bytes, channel: channel, format: format, arrival: arrival) }
      Array(type.utf8).withUnsafeBytes {
        decode(bytes, channel: channel, contentType: $0, format: format, arrival: arrival)
      }
    }
    return Decoded(
      observations: observations, refusals: refusals, pressures: inconsistentPressures, state: deviceState,
      events: deviceEvents, empty: emptyObservations, seen: observationsSeen)
  }
}

/// Decodes with a decoder of its own.
func decode(
  _ payload: String, _ channel: Channel = .vitals, type: String? = nil, format: PayloadFormat = .automatic,
  retained: Bool = false, resumed: Bool = false, redelivered: Bool = false
) -> Decoded {
  MessageDecoder(registry: registry).decoded(
    Array(payload.utf8), channel, type: type, format: format, retained: retained, resumed: resumed,
    redelivered: redelivered)
}

/// The same refused part decoded alone.
func decode(_ refusal: Refusal, retained: Bool = false) -> Decoded {
  MessageDecoder(registry: registry).decoded(refusal.raw, retained: retained)
}

/// SplitMix64: the tests' only source of chance.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
