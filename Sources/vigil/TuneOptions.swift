import Statistics

/// How `vigil tune` searches, judges and chooses.
struct TuneOptions {
  enum Search: String, CaseIterable {
    case grid, random, halving
  }

  let search: Search
  /// Of a random search.
  let trials: Int
  let objective: TuningObjective
  let folds: Int
  /// A column of the roster whose values are the folds.
  let foldBy: String?
  let holdout: Double
  let threads: Int

  /// Settings that are tried on everybody: each keeps its counts of every patient.
  static let settingsMax = 5000

  init(_ arguments: Arguments, cores: Int) throws(CommandFailure) {
    let words = Search.allCases.map(\.rawValue).joined(separator: ", ")
    let search = try arguments.value("--search", as: "one of \(words)") { Search(rawValue: $0) }
    let trials = try arguments.int("--trials", in: 1...TuneOptions.settingsMax)
    self.search = search ?? (trials == nil ? .grid : .random)
    if trials != nil, self.search != .random {
      throw CommandFailure(ExitCode.usage, "`--trials` is for `--search random`")
    }
    self.trials = trials ?? 200
    objective = try TuneOptions.objective(arguments)
    foldBy = arguments.value("--fold-by")
    if foldBy != nil, arguments.has("--folds") {
      throw CommandFailure(ExitCode.usage, "give either `--folds` or `--fold-by`")
    }
    folds = try arguments.int("--folds", in: 2...50) ?? 5
    holdout =
      try arguments.value("--holdout", as: "a share of the patients from 0.05 to 0.5") { text in
        Double(text).flatMap { (0.05...0.5).contains($0) ? $0 : nil }
      } ?? 0
    threads = try arguments.int("--threads", in: 1...256) ?? cores
  }

  private static func objective(_ arguments: Arguments) throws(CommandFailure) -> TuningObjective {
    let target = try share("--target-sensitivity", arguments)
    let budget = try budget(arguments)
    let name =
      try arguments.value("--objective", as: "one of \(TuningObjective.names.joined(separator: ", "))") {
        TuningObjective.names.contains($0) ? $0 : nil
      } ?? (budget == nil ? "least-burden" : "greatest-margin")
    let own: [String: String] = [
      "--target-sensitivity": "least-burden", "--budget": "greatest-margin", "--beta": "fbeta", "--cost-ratio": "cost",
      "--threshold": "net-benefit",
    ]
    for (flag, objective) in own.sorted(by: { $0.key < $1.key }) where arguments.has(flag) && objective != name {
      throw CommandFailure(ExitCode.usage, "`\(flag)` is for `--objective \(objective)`, not \(name)")
    }
    switch name {
    case "least-burden": return .leastBurden(sensitivity: target ?? 0.9)
    case "greatest-margin":
      guard let budget else {
        throw CommandFailure(ExitCode.usage, "`--objective greatest-margin` needs `--budget`, as in 0.5/patient-day")
      }
      return .greatestMargin(burden: budget)
    case "fbeta": return .fBeta(try positive("--beta", arguments) ?? 2)
    case "cost": return .cost(ratio: try positive("--cost-ratio", arguments) ?? 5)
    case "utility": return .utility
    default: return .netBenefit(threshold: try share("--threshold", arguments) ?? 0.1)
    }
  }

  /// `0.5/patient-day`, or the number alone; nil: not given.
  static func budget(_ arguments: Arguments) throws(CommandFailure) -> Double? {
    try arguments.value("--budget", as: "alerts per patient-day such as 0.5/patient-day") { text in
      let parts = text.split(separator: "/", maxSplits: 1)
      guard let first = parts.first, let value = Double(first), value > 0, value <= 1000,
        parts.count == 1 || parts[1] == "patient-day"
      else { return nil as Double? }
      return value
    }
  }

  private static func share(_ flag: String, _ arguments: Arguments) throws(CommandFailure) -> Double? {
    try arguments.value(flag, as: "a share above 0 and below 1") { text in
      Double(text).flatMap { $0 > 0 && $0 < 1 ? $0 : nil }
    }
  }

  private static func positive(_ flag: String, _ arguments: Arguments) throws(CommandFailure) -> Double? {
    try arguments.value(flag, as: "a number above 0") { text in
      Double(text).flatMap { $0 > 0 && $0 <= 1_000_000 ? $0 : nil }
    }
  }
}
