import Decoding
import Glibc
import VitalModel

/// What decoding one payload costs, as CPU time of this thread; the tally shows that the work was done.
///
/// Baseline: the hand-written scanner of one fixed flat schema measured in the design phase (61 ns at 93 bytes), which
/// knows no registry, no units, no limits and no second format.
func decodeBenchmark(rounds: Int = 1_000_000) {
  func vital(_ key: String, _ loinc: String, _ unit: String, _ low: Int64, _ high: Int64) -> VitalDefinition {
    VitalDefinition(
      key: key, title: key, loinc: [loinc], unit: unit, units: [UnitConversion(unit: unit)],
      rejectBelow: DecimalValue(mantissa: low), rejectAbove: DecimalValue(mantissa: high), resolutionExponent: 0,
      staleness: 60_000)
  }
  let registry = VitalRegistry([
    vital("hr", "8867-4", "/min", 0, 350), vital("spo2", "2708-6", "%", 1, 100),
    vital("resp", "9279-1", "/min", 0, 150), vital("temp", "8310-5", "Cel", 20, 46),
  ])
  let cases = [
    (
      "1 observation, ms", 1,
      #"{"seq":4711,"time":1795214280123,"code":"spo2","value":91,"unit":"%","quality":0.93,"x":123456}"#
    ),
    (
      "1 observation, RFC 3339", 1,
      #"{"seq":4711,"time":"2026-11-20T22:38:00.123Z","code":"spo2","value":91,"unit":"%","q":12345678}"#
    ),
    (
      "4 observations", 4,
      #"{"seq":4711,"time":1795214280123,"observations":[{"code":"spo2","value":91,"unit":"%"},"#
        + #"{"code":"8867-4","value":112},{"code":"resp","value":18},{"code":"temp","value":36.6,"unit":"Cel"}]}"#
    ),
    (
      "SenML, 4 records", 4,
      #"[{"bn":"urn:dev:1:","bt":1795214280.123,"n":"spo2","u":"%","v":91},{"n":"hr","v":112},"#
        + #"{"n":"resp","v":18},{"n":"temp","u":"Cel","v":36.6}]"#
    ),
  ]
  for (name, expected, text) in cases {
    let payload = Array(text.utf8)
    let best = (0..<5).map { _ in decodeRun(payload, registry, rounds: rounds, expected: expected) }.min() ?? 0
    print("decode: \(name): \(payload.count) bytes, \(best) ns")
  }
}

/// Nanoseconds of thread CPU time per payload.
private func decodeRun(_ payload: [UInt8], _ registry: VitalRegistry, rounds: Int, expected: Int) -> UInt64 {
  let decoder = MessageDecoder(registry: registry)
  let arrival = Arrival(receivedAt: 1_795_214_290_000)
  var tally: Int64 = 0
  let start = threadNanoseconds()
  payload.withUnsafeBytes { bytes in
    for _ in 0..<rounds {
      decoder.decode(bytes, channel: .vitals, arrival: arrival)
      for observation in decoder.observations { tally &+= observation.value.mantissa }
      precondition(decoder.observations.count == expected, "the payload was not accepted")
    }
  }
  let elapsed = threadNanoseconds() - start
  precondition(tally != 0)
  return elapsed / UInt64(max(rounds, 1))
}

private func threadNanoseconds() -> UInt64 {
  var now = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
  return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}
