/// What a setting was worth to some patients, with intervals over whole patients.
package struct TuningFigures: Sendable {
  package let sums: TuningSums
  package private(set) var burden: Figure?
  package private(set) var sensitivity: Figure?
  /// Counting only alerts before the onset.
  package private(set) var beforeOnset: Figure?
  package private(set) var predictiveValue: Figure?
  /// Sensitivity less the share of matched controls with an alert in the same hours (SEMANTICS F2).
  package private(set) var margin: Figure?
  /// Of the objective, its sign turned where less is better, and its standard error over resamples.
  package private(set) var objective: Figure?
  package private(set) var spread: Double?

  /// Figures of several settings from the same draws of patients.
  ///
  /// - Parameters:
  ///   - isIn: the patients they are about, by position.
  ///   - resamples: at least a thousand.
  ///   - objective: of which the spread is wanted.
  package static func all(
    _ tallies: [SettingTally], of cohort: TuningCohort, among isIn: [Bool], resamples: Int, seed: UInt64,
    objective: TuningObjective? = nil
  ) -> [TuningFigures] {
    var draft = TuningDraft(cohort, among: isIn, resamples: resamples, seed: seed)
    let numbers = tallies.map { draft.add($0) }
    draft.run()
    return numbers.map { draft.figures($0, objective) }
  }

  /// Values without intervals: cheap, for the settings nobody will choose.
  package init(_ tally: SettingTally, of cohort: TuningCohort, among mask: TuningMask) {
    sums = mask.sums(tally, of: cohort)
    func plain(_ value: Double?) -> Figure? {
      value.map { Figure(value: $0, intervals: [], patients: sums.patients) }
    }
    burden = plain(sums.burden)
    sensitivity = plain(sums.sensitivity)
    beforeOnset = plain(sums.sensitivityBefore)
    predictiveValue = plain(sums.predictiveValue)
    margin = plain(sums.margin)
  }

  init(
    _ sums: TuningSums, burden: Figure?, sensitivity: Figure?, beforeOnset: Figure?, predictiveValue: Figure?,
    margin: Figure?, objective: Figure?, spread: Double?
  ) {
    self.sums = sums
    self.burden = burden
    self.sensitivity = sensitivity
    self.beforeOnset = beforeOnset
    self.predictiveValue = predictiveValue
    self.margin = margin
    self.objective = objective
    self.spread = spread
  }

  /// ``margin``, nil where there is nothing to compare: no alert among events with controls and none among controls.
  package var shownMargin: Figure? { sums.isMarginEmpty ? nil : margin }

  package func point(values: [(name: String, value: String)]) -> OperatingPoint {
    var point = OperatingPoint(values: values)
    point.events = sums.events
    point.detected = sums.detected
    point.alerts = sums.alerts
    point.patientDays = sums.patientDays
    point.burden = burden
    point.sensitivity = sensitivity
    point.beforeOnset = beforeOnset
    point.predictiveValue = predictiveValue
    point.margin = margin
    point.windows = sums.windows
    return point
  }
}

/// How much one setting differs from another over the same patients: the first less the second, paired, so that what both
/// have in common does not widen the interval.
package struct TuningDifference: Sendable {
  package let sensitivity: Figure?
  package let beforeOnset: Figure?
  package let burden: Figure?
  package let margin: Figure?

  package static func between(
    _ first: SettingTally, _ second: SettingTally, of cohort: TuningCohort, among isIn: [Bool], resamples: Int,
    seed: UInt64
  ) -> TuningDifference {
    var draft = TuningDraft(cohort, among: isIn, resamples: resamples, seed: seed)
    let (a, b) = (draft.add(first), draft.add(second))
    draft.addDifference(a, b)
    draft.run()
    return draft.difference(a, b)
  }
}

/// The same draws of patients for any number of settings.
struct TuningDraft {
  private let cohort: TuningCohort
  private let mask: TuningMask
  private let controls: (matched: MatchedControls, places: [Int])
  private var resamples: PatientResamples
  private let fixed: [Int]
  private var settings: [Setting] = []
  /// Of the margins of the two settings to compare.
  private var marginDifference: Int?

  private struct Setting {
    var sums: TuningSums
    /// By ``TallyColumn``.
    var columns: [Int]
    var utility: Int
    var margin: MatchedMargin
    var marginNumber: Int?
  }

  init(_ cohort: TuningCohort, among isIn: [Bool], resamples count: Int, seed: UInt64) {
    self.cohort = cohort
    mask = TuningMask(cohort, isIn)
    controls = cohort.matched.restricted(to: isIn)
    var resamples = PatientResamples(
      patients: isIn.count, count: max(count, PatientResamples.countMin), seed: seed)
    fixed = TuningCohort.FixedColumn.allCases.map { column in
      resamples.add(zip(cohort.values(column), isIn).map { $1 ? $0 : 0 })
    }
    self.resamples = resamples
  }

  mutating func add(_ tally: SettingTally) -> Int {
    let columns = TallyColumn.allCases.map { resamples.add(tally.dense($0, among: mask.isIn)) }
    let utility = resamples.add(tally.denseUtility(among: mask.isIn))
    let margin = MatchedMargin(controls, tally, patients: mask.isIn.count)
    settings.append(
      Setting(
        sums: mask.sums(tally, of: cohort), columns: columns, utility: utility, margin: margin,
        marginNumber: margin.margin == nil ? nil : resamples.add(margin)))
    return settings.count - 1
  }

  mutating func addDifference(_ first: Int, _ second: Int) {
    let (a, b) = (settings[first].margin, settings[second].margin)
    if a.margin != nil, b.margin != nil { marginDifference = resamples.add(MarginDifference(first: a, second: b)) }
  }

  mutating func run() { resamples.run() }

  private func fixed(_ column: TuningCohort.FixedColumn) -> Int { fixed[column.rawValue] }

  func figures(_ number: Int, _ objective: TuningObjective?) -> TuningFigures {
    let setting = settings[number]
    func column(_ column: TallyColumn) -> Int { setting.columns[column.rawValue] }
    let (hit, wrong) = (
      RatioRecipe.Term(column: column(.trueAlerts)), RatioRecipe.Term(column: column(.falseAlerts))
    )
    let margin = setting.marginNumber.map { number in
      resamples.figure(number, value: setting.margin.margin ?? 0, patients: marginPatients(setting))
    }
    let sought = objective.flatMap { self.sought($0, setting, margin) }
    return TuningFigures(
      setting.sums, burden: resamples.figure(RatioRecipe(column(.alerts), over: fixed(.days), .rate)),
      sensitivity: resamples.figure(RatioRecipe(column(.detected), over: fixed(.events), .share)),
      beforeOnset: resamples.figure(RatioRecipe(column(.before), over: fixed(.events), .share)),
      predictiveValue: resamples.figure(RatioRecipe([hit], over: [hit, wrong], .share)), margin: margin,
      objective: sought?.figure, spread: sought?.spread)
  }

  private func marginPatients(_ setting: Setting) -> Int { Set(setting.margin.matched.cases.map(\.patient)).count }

  private func sought(
    _ objective: TuningObjective, _ setting: Setting, _ margin: Figure?
  ) -> (figure: Figure?, spread: Double?) {
    func column(_ column: TallyColumn, _ factor: Double = 1) -> RatioRecipe.Term {
      .init(column: setting.columns[column.rawValue], factor: factor)
    }
    func fixed(_ column: TuningCohort.FixedColumn, _ factor: Double = 1) -> RatioRecipe.Term {
      .init(column: self.fixed(column), factor: factor)
    }
    let recipe: RatioRecipe
    switch objective {
    case .leastBurden: recipe = RatioRecipe([column(.alerts)], over: [fixed(.days)], .rate)
    case .greatestMargin: return (margin, setting.marginNumber.flatMap { resamples.spread($0) })
    case .fBeta(let beta):
      let square = beta * beta
      recipe = RatioRecipe(
        [column(.detected, 1 + square)],
        over: [column(.detected), fixed(.events, square), column(.falseAlerts)], .free)
    case .cost(let ratio):
      recipe = RatioRecipe(
        [fixed(.events, ratio), column(.detected, -ratio), column(.falseAlerts)], over: [fixed(.days)], .rate)
    case .utility:
      recipe = RatioRecipe([.init(column: setting.utility)], over: [fixed(.utilityBest)], .free)
    case .netBenefit(let threshold):
      recipe = RatioRecipe(
        [column(.windowHits), column(.windowFalse, -threshold / (1 - threshold))],
        over: [fixed(.windowPositives), fixed(.windowNegatives)], .free)
    }
    return (resamples.figure(recipe), resamples.spread(recipe))
  }

  /// One setting less another, of which ``addDifference(_:_:)`` was told before ``run()``.
  func difference(_ first: Int, _ second: Int) -> TuningDifference {
    let (a, b) = (settings[first], settings[second])
    func ratio(_ column: TallyColumn, _ below: TuningCohort.FixedColumn) -> Figure? {
      let terms: [RatioRecipe.Term] = [
        .init(column: a.columns[column.rawValue]), .init(column: b.columns[column.rawValue], factor: -1),
      ]
      return resamples.figure(RatioRecipe(terms, over: [.init(column: fixed(below))], .free))
    }
    let margin = marginDifference.map { number in
      resamples.figure(
        number, value: (a.margin.margin ?? 0) - (b.margin.margin ?? 0), patients: marginPatients(a))
    }
    return TuningDifference(
      sensitivity: ratio(.detected, .events), beforeOnset: ratio(.before, .events), burden: ratio(.alerts, .days),
      margin: margin)
  }
}

/// Two margins of the same events and controls, drawn alike.
struct MarginDifference: ResampledStatistic {
  let first: MatchedMargin
  let second: MatchedMargin

  func value(_ weights: UnsafeBufferPointer<Double>) -> Double? {
    guard let mine = first.value(weights), let other = second.value(weights) else { return nil }
    return mine - other
  }

  // Both leave out the same patients for the same reason, so their lists go together.
  func leavingOut() -> [Double] { zip(first.leavingOut(), second.leavingOut()).map { $0 - $1 } }
}
