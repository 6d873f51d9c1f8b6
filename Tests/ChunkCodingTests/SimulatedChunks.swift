import ChunkCoding
import Simulation
import VitalModel

/// What a simulated ward's monitors send, as the chunks a store would seal.
struct SimulatedChunks {
  let chunks: [ChunkRows]
  /// Registry keys by code.
  let keys: [String]

  /// - Parameters:
  ///   - rowsMax: rows of a chunk.
  ///   - scattered: whether every other patient's stamps scatter by some ms, as those of devices behind a gateway do.
  init(seed: UInt64, patients: Int, seconds: Int, rowsMax: Int, scattered: Bool = true, marks: Bool = true) {
    let start: Int64 = 1_795_214_280_000
    let plans = WardSettings.mix(patients: patients, every: 3, first: 600, spacing: 300)
    var ward = Ward(WardSettings(seed: seed, patients: patients, start: start, plans: plans))
    var noise = SplitMix64(state: seed)
    var codes: [String: UInt16] = [:]
    var keys: [String] = []
    var sources: [String: UInt16] = [:]
    var logs: [String: RowLog] = [:]
    var order: [String] = []
    var numbers: [String: UInt32] = [:]
    var chunks: [ChunkRows] = []
    var position: UInt64 = 1
    for _ in 0..<seconds {
      for message in ward.next() {
        guard case .vitals(let observations) = message.content else { continue }
        let name = message.device
        let number = numbers[name] ?? UInt32(numbers.count)
        if numbers[name] == nil {
          numbers[name] = number
          order.append(name)
        }
        let patient = number
        var log = logs[name] ?? RowLog(patient: patient, device: number)
        let time = message.time + (scattered && number % 2 == 1 ? noise.bell(8) : 0)
        let ingest = message.sentAt + 20 + abs(noise.bell(12))
        for (index, observation) in observations.enumerated() {
          guard case .number(let value) = observation.value else { continue }
          if codes[observation.key] == nil {
            codes[observation.key] = UInt16(keys.count)
            keys.append(observation.key)
          }
          let source = observation.source ?? ""
          if sources[source] == nil { sources[source] = UInt16(sources.count) }
          var slot = sampleSlot(
            code: codes[observation.key] ?? 0, time: time, mantissa: value.mantissa, exponent: value.exponent,
            source: source.isEmpty ? 0 : (sources[source] ?? 0) + 1, ingest: ingest, sequence: message.sequence,
            quality: observation.quality.flatMap { SampleQuality($0) }?.raw ?? 0xFFFF,
            status: observation.status?.rawValue ?? 0, flags: .simulated)
          if index == observations.count - 1 { slot.flags.insert(.endOfMessage) }
          if !marks {
            slot.ingestTime = time
            slot.deviceSequence = 0
            slot.flags = []
            slot.quality = .absent
            slot.statusRaw = 0
          }
          log.append(slot, position: position)
          position += 1
        }
        if log.rowCount >= rowsMax {
          chunks.append(log.rows())
          log = RowLog(patient: patient, device: number)
        }
        logs[name] = log
      }
    }
    for name in order {
      if let log = logs[name], !log.isEmpty { chunks.append(log.rows()) }
    }
    self.chunks = chunks
    self.keys = keys
  }

  func name(_ code: VitalCode) -> String? { keys[Int(code.index)] }
}

extension SplitMix64 {
  /// A number that scatters about 0 like a normal one, by a sum of twelve.
  mutating func bell(_ deviation: Int64) -> Int64 {
    var sum: Int64 = 0
    for _ in 0..<12 { sum += Int64(below(1 << 16)) }
    return (sum - 6 << 16) * deviation / (1 << 16)
  }
}
