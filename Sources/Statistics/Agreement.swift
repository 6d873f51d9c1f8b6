import VitalModel

/// What several people said of one alert: a category for each of them, nil where one said nothing.
package struct JudgedItem: Hashable, Sendable {
  /// Any number that is the patient's own: whole patients are resampled.
  package var patient: Int
  package var categories: [Int?]

  package init(patient: Int, categories: [Int?]) {
    self.patient = patient
    self.categories = categories
  }
}

/// An agreement beyond chance with its interval and what it rests on.
package struct AgreementFigure: Hashable, Sendable {
  /// 1: always the same; 0: as chance would have it; nil: chance alone would make it perfect (everybody always said the
  /// same), so that it says nothing.
  package var kappa: Double?
  /// Patients resampled (percentiles); nil with fewer than two patients, or where kappa is nil.
  package var interval: Interval?
  /// Asymptotic standard error of Cohen's kappa (Fleiss, Cohen and Everitt 1969), which takes alerts as independent; nil
  /// for Fleiss' kappa.
  package var standardError: Double?
  /// Share of alerts judged the same; of several people, of all pairs of judgements.
  package var agreed: Double
  package var items: Int
  package var patients: Int
}

/// Agreement of people who judged the same alerts.
package enum Agreement {
  /// Cohen's kappa of two people over what both judged (Cohen 1960, Educ Psychol Meas 20:37).
  ///
  /// - Parameters:
  ///   - pair: places in ``JudgedItem/categories``.
  ///   - count: categories there are, numbered from 0.
  /// - Returns: nil where they have nothing in common.
  package static func cohen(
    _ items: [JudgedItem], _ pair: (Int, Int), categories count: Int, seed: UInt64
  ) -> AgreementFigure? {
    var tables: [Int: [Double]] = [:]
    var common = 0
    for item in items {
      guard let a = item.categories[pair.0], let b = item.categories[pair.1] else { continue }
      tables[item.patient, default: Array(repeating: 0, count: count * count)][a * count + b] += 1
      common += 1
    }
    guard common > 0 else { return nil }
    let patients = tables.keys.sorted().compactMap { tables[$0] }
    let table = sum(patients)
    let same = (0..<count).reduce(0.0) { $0 + table[$1 * count + $1] }
    return AgreementFigure(
      kappa: cohen(table), interval: interval(patients, seed: seed) { cohen($0) },
      standardError: cohenStandardError(table), agreed: same / Double(common), items: common, patients: patients.count)
  }

  /// Fleiss' kappa over alerts that all of at least two people judged (Fleiss 1971, Psychol Bull 76:378).
  ///
  /// - Returns: nil where nothing was judged by all.
  package static func fleiss(_ items: [JudgedItem], categories count: Int, seed: UInt64) -> AgreementFigure? {
    var sums: [Int: [Double]] = [:]
    for item in items {
      let given = item.categories.compactMap { $0 }
      guard given.count == item.categories.count, given.count > 1 else { continue }
      var votes = Array(repeating: 0.0, count: count)
      for category in given { votes[category] += 1 }
      let part = fleissPart(votes)
      sums[item.patient] = sum([sums[item.patient] ?? Array(repeating: 0, count: count + 2), part])
    }
    guard !sums.isEmpty else { return nil }
    let patients = sums.keys.sorted().compactMap { sums[$0] }
    let total = sum(patients)
    return AgreementFigure(
      kappa: fleiss(total), interval: interval(patients, seed: seed) { fleiss($0) }, standardError: nil,
      agreed: total[1] / total[0], items: Int(total[0]), patients: patients.count)
  }

  // MARK: Formulas

  /// Of a square table, row by row: (observed - expected) / (1 - expected); nil where expected is 1.
  package static func cohen(_ table: [Double]) -> Double? {
    let (count, total) = (side(table), table.reduce(0, +))
    guard total > 0 else { return nil }
    var (observed, expected) = (0.0, 0.0)
    for category in 0..<count {
      observed += table[category * count + category]
      expected += row(table, category, count) * column(table, category, count)
    }
    return ratio(observed / total, expected / (total * total))
  }

  /// Fleiss, Cohen and Everitt 1969 (Psychol Bull 72:323), equation 13; nil where kappa is.
  package static func cohenStandardError(_ table: [Double]) -> Double? {
    let (count, total) = (side(table), table.reduce(0, +))
    guard let kappa = cohen(table), total > 0 else { return nil }
    let shares = table.map { $0 / total }
    let rows = (0..<count).map { row(shares, $0, count) }
    let columns = (0..<count).map { column(shares, $0, count) }
    let expected = zip(rows, columns).reduce(0.0) { $0 + $1.0 * $1.1 }
    var variance = 0.0
    for a in 0..<count {
      for b in 0..<count {
        let share = shares[a * count + b]
        if a == b {
          let term = 1 - (rows[a] + columns[a]) * (1 - kappa)
          variance += share * term * term
        } else {
          let term = columns[a] + rows[b]
          variance += (1 - kappa) * (1 - kappa) * share * term * term
        }
      }
    }
    let correction = kappa - expected * (1 - kappa)
    variance = (variance - correction * correction) / (total * (1 - expected) * (1 - expected))
    return variance > 0 ? variance.squareRoot() : 0
  }

  /// Of rows of votes, one an item, each of the same number of people (at least two).
  package static func fleiss(votes: [[Int]]) -> Double? {
    fleiss(sum(votes.map { fleissPart($0.map(Double.init)) }))
  }

  /// What one item gives: 1, its share of agreeing pairs, and each category's share of its votes.
  private static func fleissPart(_ votes: [Double]) -> [Double] {
    let raters = votes.reduce(0, +)
    let pairs = votes.reduce(0.0) { $0 + $1 * ($1 - 1) }
    return [1, pairs / (raters * (raters - 1))] + votes.map { $0 / raters }
  }

  private static func fleiss(_ sums: [Double]) -> Double? {
    guard sums.count > 2, sums[0] > 0 else { return nil }
    let expected = sums[2...].reduce(0.0) { $0 + ($1 / sums[0]) * ($1 / sums[0]) }
    return ratio(sums[1] / sums[0], expected)
  }

  private static func ratio(_ observed: Double, _ expected: Double) -> Double? {
    // All in one category: rounding may leave a trace of a difference.
    1 - expected > 1e-12 ? (observed - expected) / (1 - expected) : nil
  }

  private static func side(_ table: [Double]) -> Int { Int(Double(table.count).squareRoot().rounded()) }

  private static func row(_ table: [Double], _ index: Int, _ count: Int) -> Double {
    table[(index * count)..<((index + 1) * count)].reduce(0, +)
  }

  private static func column(_ table: [Double], _ index: Int, _ count: Int) -> Double {
    stride(from: index, to: count * count, by: count).reduce(0.0) { $0 + table[$1] }
  }

  private static func sum(_ vectors: [[Double]]) -> [Double] {
    guard var total = vectors.first else { return [] }
    for vector in vectors.dropFirst() { for place in total.indices { total[place] += vector[place] } }
    return total
  }

  /// Percentiles over resamples of whole patients; resamples without a kappa are left out.
  private static func interval(
    _ patients: [[Double]], seed: UInt64, _ statistic: ([Double]) -> Double?
  ) -> Interval? {
    guard patients.count > 1, let estimate = statistic(sum(patients)) else { return nil }
    var sampler = Resampler(seed: seed)
    var values: [Double] = []
    for _ in 0..<PatientBootstrap.resamples {
      var total = Array(repeating: 0.0, count: patients[0].count)
      for _ in patients.indices {
        let drawn = patients[sampler.index(below: patients.count)]
        for place in total.indices { total[place] += drawn[place] }
      }
      if let value = statistic(total) { values.append(value) }
    }
    guard !values.isEmpty else { return nil }
    values.sort()
    let first = min(values.count - 1, Int(Interval.alpha / 2 * Double(values.count)))
    return Interval(
      lower: min(estimate, values[first]), upper: max(estimate, values[values.count - 1 - first]),
      method: .patientBootstrap)
  }
}
