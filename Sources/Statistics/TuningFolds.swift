/// Which fold each patient belongs to: whole patients, never windows of them (CLINICAL.md 4.3). It depends on patients' names,
/// the seed and who has an event, never on the order they come in.
package struct PatientFolds: Sendable {
  /// In ``fold`` of a patient nobody looks at until the end.
  package static let heldOut = -1

  /// `1`, `2` and so on, or the values of the column patients are split by.
  package let names: [String]
  /// By patient of the cohort.
  package let fold: [Int]
  /// By patient: its place among those of its fold who are like it, 0 the first, below 1.
  private let place: [Double]

  package var count: Int { names.count }
  package var hasHeldOut: Bool { fold.contains(PatientFolds.heldOut) }

  /// Folds of equal size, patients with and without an event dealt out alike.
  ///
  /// - Parameters:
  ///   - patients: names by position in the cohort.
  ///   - hasEvent: by position.
  ///   - holdout: share of the patients put aside, 0 to 0.9.
  /// - Precondition: at least two folds, a flag per patient.
  package init(patients: [String], hasEvent: [Bool], count: Int, seed: UInt64, holdout: Double = 0) {
    precondition(count >= 2, "at least two folds")
    let deal = Deal(patients, hasEvent, seed: seed, holdout: holdout)
    var fold = [Int](repeating: PatientFolds.heldOut, count: patients.count)
    var next = 0
    for patient in deal.kept.joined() {
      fold[patient] = next % count
      next += 1
    }
    self.init(names: (1...count).map { "\($0)" }, fold: fold, deal: deal)
  }

  /// One fold for each value of a column, so that each is judged by what the others chose: leave one site out.
  ///
  /// - Parameter groups: by position; nil: not known, a fold of its own.
  package init(patients: [String], hasEvent: [Bool], groups: [String?], seed: UInt64, holdout: Double = 0) {
    precondition(groups.count == patients.count, "a value per patient")
    let deal = Deal(patients, hasEvent, seed: seed, holdout: holdout)
    let values = Set(groups.map { $0 ?? "unknown" }).sorted()
    let numbers = Dictionary(uniqueKeysWithValues: values.enumerated().map { ($1, $0) })
    var fold = [Int](repeating: PatientFolds.heldOut, count: patients.count)
    for patient in deal.kept.joined() { fold[patient] = numbers[groups[patient] ?? "unknown"] ?? 0 }
    self.init(names: values, fold: fold, deal: deal)
  }

  private init(names: [String], fold: [Int], deal: Deal) {
    var place = [Double](repeating: 0, count: fold.count)
    for stratum in deal.kept {
      for own in Dictionary(grouping: stratum, by: { fold[$0] }).values {
        for (rank, patient) in own.enumerated() { place[patient] = Double(rank) / Double(own.count) }
      }
    }
    self.names = names
    self.fold = fold
    self.place = place
  }

  /// Everybody but those held out.
  package var all: [Bool] { fold.map { $0 != PatientFolds.heldOut } }
  package var heldOutMask: [Bool] { fold.map { $0 == PatientFolds.heldOut } }

  package func members(of fold: Int) -> [Bool] { self.fold.map { $0 == fold } }

  /// Patients of the other folds; those held out are never among them.
  package func training(without fold: Int) -> [Bool] {
    self.fold.map { $0 != fold && $0 != PatientFolds.heldOut }
  }

  /// A share of each fold's patients with and without an event; a larger share holds every smaller one.
  package func nested(_ share: Double) -> [Bool] {
    fold.indices.map { fold[$0] != PatientFolds.heldOut && place[$0] < share }
  }

  /// Patients in the order of a seeded hash of their names, those with an event apart, without those held out.
  private struct Deal {
    /// With an event, then without.
    let kept: [[Int]]

    init(_ patients: [String], _ hasEvent: [Bool], seed: UInt64, holdout: Double) {
      precondition(patients.count == hasEvent.count, "a flag per patient")
      let hashes = patients.map { Deal.hash($0, seed) }
      kept = [true, false].map { kind in
        let own = patients.indices.filter { hasEvent[$0] == kind }
          .sorted { (hashes[$0], patients[$0]) < (hashes[$1], patients[$1]) }
        return Array(own.dropFirst(Int((min(max(holdout, 0), 0.9) * Double(own.count)).rounded())))
      }
    }

    /// FNV-1a over the name's bytes (Fowler, Noll and Vo 1991), then mixed with the seed.
    private static func hash(_ name: String, _ seed: UInt64) -> UInt64 {
      var hash: UInt64 = 0xCBF2_9CE4_8422_2325
      for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
      var sampler = Resampler(seed: hash ^ (seed &* 0x9E37_79B9_7F4A_7C15), purpose: .folds)
      return UInt64(sampler.index(below: .max))
    }
  }
}
