/// A figure of a cohort that can be computed for any number of copies of each patient.
protocol ResampledStatistic: Sendable {
  /// With each patient counted as often as drawn; nil where those drawn do not have it.
  ///
  /// - Parameter weights: how often each patient was drawn.
  func value(_ weights: UnsafeBufferPointer<Double>) -> Double?
  /// With each patient left out in turn, to find how the figure's spread changes with its value; empty: left out, and the
  /// interval is that of percentiles.
  func leavingOut() -> [Double]
}

/// The q-th value of something patients have any number of: lead times.
struct ResampledQuantile: ResampledStatistic {
  /// Ascending, each with its patient's position.
  let values: [(value: Double, patient: Int)]
  let share: Double

  /// Nearest rank, as ``Quantile/nearestRank(_:of:)``.
  func value(_ weights: UnsafeBufferPointer<Double>) -> Double? {
    var total = 0.0
    for item in values { total += weights[item.patient] }
    guard total > 0 else { return nil }
    let rank = max(1, (share * total).rounded(.up))
    var seen = 0.0
    for item in values {
      seen += weights[item.patient]
      if seen >= rank { return item.value }
    }
    return values.last?.value
  }

  // Left out: a median hardly moves with one patient, and moves by jumps; what is found so is no acceleration.
  func leavingOut() -> [Double] { [] }
}

/// One value per patient, of which sums are taken: kept whole, or only where it is not zero.
struct PatientColumn: Sendable {
  private let positions: [Int32]
  private let values: [Double]
  private let isDense: Bool
  let patients: Int

  init(_ whole: [Double]) {
    patients = whole.count
    let filled = whole.indices.filter { whole[$0] != 0 }
    isDense = 4 * filled.count > whole.count
    positions = isDense ? [] : filled.map { Int32($0) }
    values = isDense ? whole : filled.map { whole[$0] }
  }

  /// Σ of weight × value. The order of addition is fixed, so the sum is the same on every machine.
  func sum(_ weights: UnsafeBufferPointer<Double>) -> Double {
    isDense ? denseSum(weights) : sparseSum(weights)
  }

  private func sparseSum(_ weights: UnsafeBufferPointer<Double>) -> Double {
    var total = 0.0
    for index in positions.indices { total += weights[Int(positions[index])] * values[index] }
    return total
  }

  /// In two times four lanes: one sum alone would wait for each addition.
  private func denseSum(_ weights: UnsafeBufferPointer<Double>) -> Double {
    precondition(weights.count == values.count, "a weight per patient")
    return values.withUnsafeBytes { values in
      let weights = UnsafeRawBufferPointer(weights)
      let lane = MemoryLayout<SIMD4<Double>>.size
      var (even, odd) = (SIMD4<Double>(), SIMD4<Double>())
      var place = 0
      while place + 2 * lane <= values.count {
        even +=
          values.loadUnaligned(fromByteOffset: place, as: SIMD4<Double>.self)
          * weights.loadUnaligned(fromByteOffset: place, as: SIMD4<Double>.self)
        odd +=
          values.loadUnaligned(fromByteOffset: place + lane, as: SIMD4<Double>.self)
          * weights.loadUnaligned(fromByteOffset: place + lane, as: SIMD4<Double>.self)
        place += 2 * lane
      }
      var total = (even + odd).sum()
      while place < values.count {
        total +=
          values.loadUnaligned(fromByteOffset: place, as: Double.self)
          * weights.loadUnaligned(fromByteOffset: place, as: Double.self)
        place += MemoryLayout<Double>.size
      }
      return total
    }
  }

  /// Adds `factor` times every value to an array with one place per patient.
  func add(to array: inout [Double], times factor: Double) {
    if isDense {
      for index in values.indices { array[index] += factor * values[index] }
    } else {
      for index in positions.indices { array[Int(positions[index])] += factor * values[index] }
    }
  }
}
