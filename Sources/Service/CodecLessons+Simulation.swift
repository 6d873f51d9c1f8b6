import ChunkCoding
import SeriesStore
import Simulation
import VitalModel

/// What the built-in start states learned from.
extension CodecLessons {
  private enum Lesson: CaseIterable {
    /// Spot measurements alone, over a longer time: a cuff every quarter of an hour, a round every few hours.
    case spots
    /// Every message as it is stamped.
    case stamped
    /// Every message with a network's noise on its stamp.
    case delivered

    var patients: Int { 40 }
    var seconds: Int { self == .spots ? 24 * 3600 : 2 * 3600 }
  }

  /// Nearer to its device's last message than this, a message is no spot measurement; ms.
  private static let spotGapMin: Int64 = 10_000

  /// Learns from the simulator's ward. The same seed teaches the same on every machine.
  ///
  /// - Parameter advance: called now and then.
  package func simulate(seed: UInt64, registry: VitalRegistry, advance: () -> Void = {}) throws {
    for lesson in Lesson.allCases {
      try begin(keys: registry.vitals.map(\.key))
      var settings = WardSettings(
        seed: seed, patients: lesson.patients, start: 1_577_836_800_000)
      settings.plans = WardSettings.mix(patients: settings.patients, first: 60, spacing: 120)
      var ward = Ward(settings)
      var numbers: [String: UInt32] = [:]
      var sources: [String: UInt16] = ["": 0]
      var last: [String: Int64] = [:]
      var random = SeededGenerator(seed: seed, stream: 1)
      for _ in 0..<lesson.seconds {
        for message in ward.next() {
          guard case .vitals(let observations) = message.content else { continue }
          let before = last.updateValue(message.sentAt, forKey: message.device) ?? 0
          if lesson == .spots, message.sentAt - before < CodecLessons.spotGapMin { continue }
          let noise = lesson == .delivered ? CodecLessons.noise(&random) : 0
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
