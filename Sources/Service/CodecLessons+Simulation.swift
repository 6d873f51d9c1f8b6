import ChunkCoding
import SeriesStore
import Simulation
import VitalModel

/// What the built-in start states learned from.
extension CodecLessons {
  /// People, and seconds of each.
  private static let simulatedPatients = 40
  private static let simulatedSeconds = 7200

  /// Learns from the simulator's ward: each message as it is stamped, and again with a network's noise on the stamp. The
  /// same seed teaches the same on every machine.
  ///
  /// - Parameter advance: called now and then.
  package func simulate(seed: UInt64, registry: VitalRegistry, advance: () -> Void = {}) throws {
    for isDelivered in [false, true] {
      try begin(keys: registry.vitals.map(\.key))
      var settings = WardSettings(
        seed: seed, patients: CodecLessons.simulatedPatients, start: 1_577_836_800_000)
      settings.plans = WardSettings.mix(patients: settings.patients, first: 60, spacing: 120)
      var ward = Ward(settings)
      var numbers: [String: UInt32] = [:]
      var sources: [String: UInt16] = ["": 0]
      var random = SeededGenerator(seed: seed, stream: 1)
      for _ in 0..<CodecLessons.simulatedSeconds {
        for message in ward.next() {
          guard case .vitals(let observations) = message.content else { continue }
          let noise = isDelivered ? CodecLessons.noise(&random) : 0
          for observation in observations {
            guard case .number(let value) = observation.value, let code = registry.code(observation.key) else {
              continue
            }
            var slot = Slot()
            slot.kind = .sample
            slot.patient = CodecLessons.number(message.patient, &numbers)
            slot.device = CodecLessons.number("device " + message.device, &numbers)
            slot.code = code
            slot.source = CodecLessons.source(observation.source ?? "", &sources)
            slot.value = value
            slot.eventTime = message.time + noise
            slot.ingestTime = slot.eventTime + 20 + Int64(random.integer(0...14))
            slot.deviceSequence = message.sequence ?? 0
            if message.sequence != nil { slot.flags = .hasSequence }
            try add(slot, patient: message.patient)
          }
        }
        advance()
      }
      try end()
    }
  }

  /// Milliseconds: a bell of 8, and for one message in fifty a tail.
  private static func noise(_ random: inout SeededGenerator) -> Int64 {
    var noise = 8 * random.bell()
    if random.happens(onceIn: 50) { noise += random.uniform(0..<180) }
    return Int64(noise.rounded())
  }

  private static func number(_ name: String, _ numbers: inout [String: UInt32]) -> UInt32 {
    let number = numbers[name] ?? UInt32(numbers.count)
    numbers[name] = number
    return number
  }

  private static func source(_ name: String, _ sources: inout [String: UInt16]) -> UInt16 {
    let number = sources[name] ?? UInt16(sources.count)
    sources[name] = number
    return number
  }
}
