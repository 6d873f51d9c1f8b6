import ChunkCoding
import Glibc
import Simulation
import VitalModel

/// Stamps as a network delivers them.
enum StorageStamps {
  /// 2024-06-07T00:00:00Z, where relative times begin.
  static let epoch: Int64 = 1_717_718_400_000

  /// The noise of one stamp, ms: a bell of 8 ms, and a tail of 60 ms for one in fifty.
  static func noise(_ random: inout SeededGenerator) -> Double {
    var noise = 8 * random.bell()
    if random.happens(onceIn: 50) { noise -= 60 * log(random.uniform(1e-12..<1)) }
    return noise
  }

  /// A group with noise on its stamps; their order stays.
  static func jittered(_ group: StorageGroup, seed: UInt64) -> StorageGroup {
    var random = SeededGenerator(seed: 5, stream: seed)
    var jittered = group
    var last = Int64.min
    for row in jittered.times.indices {
      last = max(last, jittered.times[row] + Int64(noise(&random).rounded()))
      jittered.times[row] = last
    }
    return jittered
  }
}

/// Vital signs that wander as those of people at rest do: four values a second of each patient. Made for this measurement,
/// not by the product's simulator, so that what the built-in start states learned from is not what they are measured on.
struct StorageSynthetic {
  let names: StorageNames
  var patients: Int
  var hours: Int
  var seed: UInt64

  private struct Wander {
    var value = 0.0
    let memory: Double
    let step: Double

    /// Noise of a standard deviation that forgets itself over `seconds`.
    init(_ seconds: Double, _ deviation: Double) {
      memory = exp(-1 / seconds)
      step = deviation * (1 - memory * memory).squareRoot()
    }

    mutating func next(_ random: inout SeededGenerator) -> Double {
      value = memory * value + step * random.bell()
      return value
    }
  }

  /// Both stampings; trained on four patients of another seed.
  func sets() -> [StorageSet] {
    var train = self
    train.seed = seed &+ 770
    train.patients = 4
    train.hours = min(hours, 4)
    let made = (grid: groups(), train: train.groups())
    var noise: [Int: Int] = [:]
    let jitter = made.grid.map { delivered($0, &noise) }
    var unused: [Int: Int] = [:]
    let trainJitter = made.train.map { train.delivered($0, &unused) }
    return [
      StorageSet(name: "synthetic", stamping: "grid", training: made.train, test: made.grid, stampNoiseBits: 0),
      StorageSet(
        name: "synthetic", stamping: "jitter", training: trainJitter, test: jitter,
        stampNoiseBits: StorageEntropy.bits(of: noise.values.map { $0 })),
    ]
  }

  private func groups() -> [StorageGroup] { (0..<patients).map(group) }

  private func group(_ number: Int) -> StorageGroup {
    var random = SeededGenerator(seed: seed, stream: UInt64(number))
    let seconds = hours * 3600
    let phase = random.uniform(0..<6.28)
    let centre = [
      78 + 12 * random.bell(), 96.8 + random.bell(), 16 + 2.5 * random.bell(), 36.9 + 0.3 * random.bell(),
    ]
    var slow = [Wander(300, 5), Wander(120, 0.7), Wander(60, 2), Wander(1800, 0.15)]
    var quick = [Wander(10, 1.3), Wander(15, 0.25), Wander(6, 0.8)]
    let daily = [4.0, 0, 0, 0.3]
    let limits: [(Double, Double)] = [(25, 240), (50, 100), (4, 60), (0, 99)]
    var columns = ["hr", "spo2", "resp", "temp"].map {
      StorageColumn(title: $0, column: ChunkColumn(code: names.code($0), unit: 0, source: 0))
    }
    var dip = (start: 0, length: 1, depth: 0.0)
    for second in 0..<seconds {
      let circle = sin(6.283_185_307 * Double(second) / 86400 + phase)
      // About one fall of the oxygen saturation every two hours.
      if second >= dip.start + dip.length, random.happens(onceIn: 7200) {
        dip = (second, random.integer(30...119), random.uniform(4..<14))
      }
      let isDipped = second < dip.start + dip.length
      for index in 0..<4 {
        var value = centre[index] + daily[index] * circle + slow[index].next(&random)
        if index < 3 { value += quick[index].next(&random) }
        if index == 1, isDipped {
          value -= dip.depth * sin(3.141_592_654 * Double(second - dip.start) / Double(dip.length))
        }
        value = min(max(value, limits[index].0), limits[index].1)
        let number =
          index == 3
          ? DecimalValue(mantissa: Int64((value * 10).rounded()), exponent: -1)
          : DecimalValue(mantissa: Int64(value.rounded()))
        columns[index].values.append(number)
      }
    }
    let times = (0..<seconds).map { StorageStamps.epoch + Int64($0) * 1000 }
    return StorageGroup(subject: number, patient: "s\(number)", times: times, columns: columns)
  }

  /// The same rows from a clock that drifts by some ppm, over a network: noise on the stamps, one message in 200 lost, and
  /// now and then some minutes.
  private func delivered(_ group: StorageGroup, _ noise: inout [Int: Int]) -> StorageGroup {
    var random = SeededGenerator(seed: seed ^ 0x5A5A, stream: UInt64(group.subject))
    var result = StorageGroup(
      subject: group.subject, patient: group.patient,
      columns: group.columns.map { StorageColumn(title: $0.title, column: $0.column) })
    let offset = random.uniform(0..<1000)
    let drift = 1 + 20e-6 * random.bell()
    var lostUntil = -1
    var last = Int64.min
    for row in group.times.indices {
      let nominal = Double(group.times[0]) + offset + Double(row) * 1000 * drift
      let shift = StorageStamps.noise(&random)
      let isLost = random.happens(onceIn: 200)
      if random.happens(onceIn: 18000) { lostUntil = row + random.integer(20...299) }
      let time = Int64((nominal + shift).rounded())
      guard !isLost, row > lostUntil, time > last else { continue }
      last = time
      noise[Int((nominal + shift).rounded() - nominal.rounded()), default: 0] += 1
      result.times.append(time)
      for index in result.columns.indices { result.columns[index].values.append(group.columns[index].values[row]) }
    }
    return result
  }
}

/// The product's own simulator: bedside monitors of a ward in which half the patients fall ill.
struct StorageSimulated {
  let names: StorageNames

  func sets(patients: Int, seconds: Int) -> [StorageSet] {
    let training = groups(patients: patients, seconds: seconds, seed: 777)
    let test = groups(patients: patients, seconds: seconds, seed: 20_240_607)
    func jittered(_ groups: [StorageGroup]) -> [StorageGroup] {
      groups.enumerated().map { StorageStamps.jittered($1, seed: UInt64($0)) }
    }
    return [
      StorageSet(name: "simulator", stamping: "grid", training: training, test: test),
      StorageSet(name: "simulator", stamping: "jitter", training: jittered(training), test: jittered(test)),
    ]
  }

  func groups(patients: Int, seconds: Int, seed: UInt64) -> [StorageGroup] {
    var settings = WardSettings(seed: seed, patients: patients, start: StorageStamps.epoch)
    settings.plans = WardSettings.mix(patients: patients, first: 60, spacing: 120)
    var ward = Ward(settings)
    var rows: [String: [SimulatedMessage]] = [:]
    for _ in 0..<seconds {
      for message in ward.next() { rows[message.device, default: []].append(message) }
    }
    return rows.keys.sorted().enumerated().compactMap { number, device in
      group(number, rows[device, default: []].sorted { ($0.time, $0.sentAt) < ($1.time, $1.sentAt) })
    }
  }

  private func group(_ number: Int, _ messages: [SimulatedMessage]) -> StorageGroup? {
    var group = StorageGroup(subject: number, patient: messages[0].patient, columns: [])
    var places: [String: Int] = [:]
    for message in messages {
      guard case .vitals(let observations) = message.content else { continue }
      var isNew = true
      for observation in observations {
        guard case .number(let value) = observation.value else { continue }
        if isNew {
          group.times.append(message.time)
          for index in group.columns.indices { group.columns[index].values.append(StorageColumn.missing) }
          isNew = false
        }
        let title = observation.key + (observation.source.map { "/" + $0 } ?? "")
        let place = places[title] ?? group.columns.count
        if place == group.columns.count {
          places[title] = place
          let column = ChunkColumn(code: names.code(observation.key), unit: 0, source: UInt16(place))
          let missing = [DecimalValue](repeating: StorageColumn.missing, count: group.times.count)
          group.columns.append(StorageColumn(title: title, column: column, values: missing))
        }
        group.columns[place].values[group.times.count - 1] = value
      }
    }
    return group.times.isEmpty ? nil : group
  }
}
