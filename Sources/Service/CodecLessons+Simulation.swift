import ChunkCoding
import SeriesStore
import Simulation
import VitalModel

/// What the built-in start states learned from.
extension CodecLessons {
  /// Seed of the set in the program.
  package static let builtInSeed: UInt64 = 11

  /// Learns from two of the simulator's wards, of this seed and the next, holding out nobody: there is nobody. The same seed
  /// teaches the same on every machine.
  ///
  /// - Parameter advance: called now and then.
  package func simulate(seed: UInt64, advance: () -> Void = {}) throws {
    for seed in [seed, seed &+ 1] {
      var ward = SimulatedLesson(seed: seed)
      while let rows = ward.next() {
        try learn(rows, keys: ward.keys)
        advance()
      }
    }
  }
}

/// What a simulated ward's monitors send, as the chunks a store would seal. Of every other device the stamps scatter by some
/// ms, as those of devices behind a gateway do.
private struct SimulatedLesson {
  /// Registry keys by code: as they appear.
  private(set) var keys: [String] = []
  private var ward: Ward
  private var noise: Noise
  private var codes: [String: UInt16] = [:]
  private var sources: [String: UInt16] = [:]
  private var logs: [RowLog] = []
  private var numbers: [String: Int] = [:]
  private var ready: [ChunkRows] = []
  private var position: UInt64 = 1

  private static let patients = 48
  private static let seconds: Int64 = 7200

  init(seed: UInt64) {
    let plans = WardSettings.mix(patients: SimulatedLesson.patients, every: 3, first: 600, spacing: 300)
    ward = Ward(
      WardSettings(seed: seed, patients: SimulatedLesson.patients, start: 1_795_214_280_000, plans: plans))
    noise = Noise(state: seed)
  }

  /// The next chunk; nil after the last.
  mutating func next() -> ChunkRows? {
    while ready.isEmpty, ward.elapsed < SimulatedLesson.seconds {
      for message in ward.next() { take(message) }
      guard ward.elapsed == SimulatedLesson.seconds else { continue }
      for log in logs where !log.isEmpty { ready.append(log.rows()) }
    }
    return ready.isEmpty ? nil : ready.removeFirst()
  }

  private mutating func take(_ message: SimulatedMessage) {
    guard case .vitals(let observations) = message.content else { return }
    let number = numbers[message.device] ?? logs.count
    if number == logs.count {
      numbers[message.device] = number
      logs.append(RowLog(patient: UInt32(number), device: UInt32(number)))
    }
    let time = message.time + (number % 2 == 1 ? noise.bell(8) : 0)
    let received = message.sentAt + 20 + abs(noise.bell(12))
    for (index, observation) in observations.enumerated() {
      guard case .number(let value) = observation.value else { continue }
      var slot = Slot()
      slot.kind = .sample
      slot.code = code(observation.key)
      slot.source = source(observation.source ?? "")
      slot.value = value
      slot.eventTime = time
      slot.ingestTime = received
      slot.deviceSequence = message.sequence ?? 0
      slot.quality = observation.quality.flatMap { SampleQuality($0) } ?? .absent
      slot.statusRaw = observation.status?.rawValue ?? 0
      slot.flags = message.sequence == nil ? .simulated : [.simulated, .hasSequence]
      if index == observations.count - 1 { slot.flags.insert(.endOfMessage) }
      logs[number].append(slot, position: position)
      position += 1
    }
    guard logs[number].rowCount >= CodecLessons.rowsMax else { return }
    ready.append(logs[number].rows())
    logs[number] = RowLog(patient: UInt32(number), device: UInt32(number))
  }

  private mutating func code(_ key: String) -> VitalCode {
    if let known = codes[key] { return VitalCode(index: known) }
    codes[key] = UInt16(keys.count)
    keys.append(key)
    return VitalCode(index: UInt16(keys.count - 1))
  }

  private mutating func source(_ name: String) -> UInt16 {
    let number = sources[name] ?? UInt16(sources.count)
    sources[name] = number
    return name.isEmpty ? 0 : number + 1
  }

  /// SplitMix64 (Steele et al., 2014): part of what the built-in set was made by, and so it never changes.
  private struct Noise {
    var state: UInt64

    private mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
      return mixed ^ (mixed >> 31)
    }

    /// A number that scatters about 0 like a normal one, by a sum of twelve.
    mutating func bell(_ deviation: Int64) -> Int64 {
      var sum: Int64 = 0
      for _ in 0..<12 { sum += Int64(next() % (1 << 16)) }
      return (sum - 6 << 16) * deviation / (1 << 16)
    }
  }
}
