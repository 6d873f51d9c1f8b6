import VitalModel

/// The payloads of a ward: each patient's monitor sends four vitals once a second, each at its own instant of it.
///
/// Values wander around a resting adult's and saturation falls now and then, so that some alerts are raised.
struct WardTraffic {
  let patients: Int
  /// Event time of the first second, ms.
  let start: Int64
  /// Payloads of the second made last, one behind the other.
  private(set) var bytes: [UInt8] = []
  private(set) var ends: [Int] = []
  let topics: [[UInt8]]
  private var values: [Double]
  private var dipUntil: [Int]
  private var random: UInt64 = 88_172_645_463_325_252
  private static let centres = [78.0, 97, 16, 36.9]
  private static let steps = [1.6, 0.25, 0.7, 0.02]
  private static let pulls = [0.02, 0.1, 0.05, 0.01]
  /// About one fall of the saturation every two hours.
  private static let dipInterval = 7200.0

  init(patients: Int, start: Int64) {
    self.patients = patients
    self.start = start
    topics = (0..<patients).map { Array("vigil/v1/demo/m\($0)/vitals".utf8) }
    values = (0..<patients).flatMap { _ in WardTraffic.centres }
    dipUntil = [Int](repeating: 0, count: patients)
  }

  /// Event time of a patient's sample of one second, ms.
  func time(second: Int, patient: Int) -> Int64 { start + Int64(second) * 1000 + Int64(patient * 1000 / patients) }

  mutating func make(second: Int) {
    bytes.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
    for patient in 0..<patients {
      step(patient, second)
      append("{\"seq\":")
      append(Int64(second))
      append(",\"time\":")
      append(time(second: second, patient: patient))
      append(",\"observations\":[{\"code\":\"hr\",\"value\":")
      append(rounded(patient, 0))
      append("},{\"code\":\"spo2\",\"value\":")
      append(min(100, rounded(patient, 1) - (dipUntil[patient] > second ? 9 : 0)))
      append("},{\"code\":\"resp\",\"value\":")
      append(rounded(patient, 2))
      append("},{\"code\":\"temp\",\"value\":")
      let tenths = Int64((values[patient * 4 + 3] * 10).rounded())
      append(tenths / 10)
      bytes.append(UInt8(ascii: "."))
      append(tenths % 10)
      append("}]}")
      ends.append(bytes.count)
    }
  }

  private mutating func step(_ patient: Int, _ second: Int) {
    for vital in 0..<4 {
      // The sum of two uniform numbers, between -1 and 1.
      let noise = chance() + chance() - 1
      let place = patient * 4 + vital
      values[place] +=
        (WardTraffic.centres[vital] - values[place]) * WardTraffic.pulls[vital] + noise * WardTraffic.steps[vital]
    }
    if dipUntil[patient] <= second, chance() * WardTraffic.dipInterval < 1 {
      dipUntil[patient] = second + 30 + Int(chance() * 90)
    }
  }

  private func rounded(_ patient: Int, _ vital: Int) -> Int64 { Int64(values[patient * 4 + vital].rounded()) }

  private mutating func chance() -> Double {
    random ^= random << 13
    random ^= random >> 7
    random ^= random << 17
    return Double(random >> 11) / 9_007_199_254_740_992
  }

  private mutating func append(_ text: StaticString) {
    bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  private mutating func append(_ number: Int64) { bytes.append(contentsOf: String(number).utf8) }
}
