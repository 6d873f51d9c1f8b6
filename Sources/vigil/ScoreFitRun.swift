import Foundation
import Recordings
import Service
import Statistics
import VitalModel
import YAMLText

/// What `vigil tune --fit-score` found.
struct ScoreFitResult {
  /// One budget's policy: what it does to patients it was not chosen on, and the one chosen on everybody.
  struct Budget {
    var alertsPerPatientDay: Double
    /// Cross-validated: items, bands, points and policy are those found without the patient's fold.
    var crossValidated: TuningFigures
    /// The final score with the final policy on the patients it was made from.
    var apparent: TuningFigures
    var policy: FittedScoreText.Policy
    /// Why the final one is not what was asked for, in words; nil: it is.
    var shortfall: String?
    var folds: [FittedScoreText.Policy]
  }

  var final: ScoreFitting
  /// By fold: the score fitted without it.
  var folds: [ScoreFitting]
  /// As asked, that of `--budget` first.
  var budgets: [Budget]
  var trials: Int
  /// The final score is fitted on.
  var rows: Int { final.rows }
  var exclusions: LabelExclusions
  var kinds: [String]
}

/// Fits on the other folds, chooses the policy on the other folds, judges on the fold left out; then once more on everybody.
struct ScoreFitRun {
  let candidates: ScoreCandidates
  let id: String
  let options: ScoreFitting.Options
  let convention: EvaluationConvention
  let labels: LabelSet
  let session: ReplaySession.Options
  let files: RuleFiles
  let registry: VitalRegistry
  let foldCount: Int
  let seed: UInt64
  let resamples: Int
  let threads: Int
  /// Alerts per patient-day, that of the rule written first.
  let budgets: [Double]
  /// What the first budget's policy should reach.
  let targets: ScoreFitChoice.Targets?
  /// Feeds the whole recording; called once a pass.
  let feed: (any RowTaker) throws(CommandFailure) -> Void
  let report: (String) -> Void

  func run() throws(CommandFailure) -> ScoreFitResult {
    let fitted = try fitted()
    let (fits, tuning) = (fitted.fits, fitted.tuning)
    var search = fitted.search
    var tallies: [SettingTally] = []
    for round in 0...ScoreFitPolicies.rounds {
      report("judging \(search.trials.count - tallies.count) policies")
      try tallies += judge(Array(search.trials[tallies.count...]), fits, tuning, fitted.names)
      guard round < ScoreFitPolicies.rounds else { break }
      let chosen = choices(search.trials, tallies, tuning).flatMap(\.all)
      search.refine(around: chosen.map { search.trials[$0] }, round: round)
    }
    return result(fits, search.trials, tallies, tuning)
  }

  /// What fitting leaves behind: the inputs at every message are given back before the policies are judged.
  private struct Fitted {
    var fits: [ScoreFitting]
    var tuning: TuningCohort
    var search: ScoreFitPolicies
    var names: [String]
  }

  private func fitted() throws(CommandFailure) -> Fitted {
    report("computing \(candidates.candidates.count) inputs at every message")
    let (table, watched) = try inputs()
    let (cohort, names) = (watched.cohort(labels: labels), watched.names)
    guard !cohort.events.isEmpty else {
      throw CommandFailure(ExitCode.failed, "no event of the labels lies in the recording: nothing to fit on")
    }
    let folds = PatientFolds(patients: names, hasEvent: cohort.hasEvent, count: foldCount, seed: seed)
    let rows = table.rows(candidates, cohort, names: names, convention)
    let fits = fit(rows, folds)
    try check(fits, folds)
    let tuning = TuningCohort(cohort, folds: folds, convention: convention, seed: seed)
    // Limits, too, are chosen by rows fitted on alone.
    let totals = zip(fits, members(folds)).map { fit, isIn in
      zip(fit.totals(rows), rows.patients).compactMap { isIn[Int($1)] ? $0 : nil }
    }
    let search = ScoreFitPolicies(totals: totals, most: fits.map(\.most))
    return Fitted(fits: fits, tuning: tuning, search: search, names: names)
  }

  /// The engine that computed them is given back with its patients' windows.
  private func inputs() throws(CommandFailure) -> (table: FeatureTable, watched: WatchedCohort) {
    let builder = FeatureTableBuilder(candidates, registry: registry, options: session)
    try feed(builder)
    return builder.finish()
  }

  /// A score of less than two points has no limit between none and the most.
  private func check(_ fits: [ScoreFitting], _ folds: PatientFolds) throws(CommandFailure) {
    guard let place = fits.firstIndex(where: { $0.most < 2 }) else { return }
    let whose = place < folds.count ? "without the patients of fold \(place + 1) of \(folds.count)" : "on everybody"
    let reason =
      fits[place].events == 0
      ? "there is no event to fit on"
      : fits[place].items.isEmpty
        ? "no input tells events from other hours better than chance" : "one point is all it gives; allow `--points 2`"
    throw CommandFailure(ExitCode.failed, "tune: no score is fitted \(whose): \(reason)")
  }

  /// Who each score is fitted on: by fold, and everybody.
  private func members(_ folds: PatientFolds) -> [[Bool]] {
    (0..<folds.count).map { folds.training(without: $0) } + [folds.all]
  }

  private func fit(_ rows: ScoreFittingRows, _ folds: PatientFolds) -> [ScoreFitting] {
    members(folds).enumerated().map { place, members in
      report(place < folds.count ? "fitting without fold \(place + 1) of \(folds.count)" : "fitting on everybody")
      return ScoreFitting(rows, options: options) { members[$0] }
    }
  }

  private func text(_ fit: ScoreFitting) -> FittedScoreText { FittedScoreText(fit, id: id, candidates) }

  private func judge(
    _ trials: [ScoreFitPolicies.Trial], _ fits: [ScoreFitting], _ tuning: TuningCohort, _ names: [String]
  ) throws(CommandFailure) -> [SettingTally] {
    guard !trials.isEmpty else { return [] }
    var rules: [SweepRules] = []
    for fit in fits { rules.append(try sweepRules(fit)) }
    var worlds: [SweepWorld] = []
    for trial in trials {
      do throws(SweepProblem) {
        worlds.append(try rules[trial.score].world(of: [id], setting(trial.policy)))
      } catch {
        throw CommandFailure(ExitCode.failed, error.description)
      }
    }
    let result = try SettingSweep(worlds: worlds, options: session, threads: threads).run(feed)
    guard result.watched.names == names else {
      throw CommandFailure(ExitCode.failed, "the recording has changed while it was read")
    }
    return result.alerts.map { tuning.tally($0) }
  }

  /// The rule and its chart as they would be written.
  private func sweepRules(_ fit: ScoreFitting) throws(CommandFailure) -> SweepRules {
    let policy = FittedScoreText.Policy(limit: max(1, fit.most - 1), margin: 0, renew: 28_800_000)
    var files = files
    files.sources = [text(fit).source(policy, path: "\(id).yaml", provenance: "being fitted")]
    files.directory = ""
    do throws(RuleFiles.Failure) {
      return try SweepRules(files: files, set: nil)
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  private func setting(_ policy: FittedScoreText.Policy) -> SweepSetting {
    let values: [(String, Int64)] = [
      ("limit", Int64(policy.limit)), ("margin", Int64(policy.margin)), ("hold", policy.hold),
      ("quiet", policy.refractory), ("again", policy.renew),
    ]
    return SweepSetting(
      Dictionary(values.map { (SweepName(rule: id, name: $0.0), DecimalValue(mantissa: $0.1)) }) { first, _ in first })
  }

  private func choices(
    _ trials: [ScoreFitPolicies.Trial], _ tallies: [SettingTally], _ tuning: TuningCohort
  ) -> [ScoreFitChoice] {
    budgets.enumerated().map { place, budget in
      ScoreFitChoice(budget, place == 0 ? targets : nil, trials, tallies, tuning)
    }
  }

  private func result(
    _ fits: [ScoreFitting], _ trials: [ScoreFitPolicies.Trial], _ tallies: [SettingTally], _ tuning: TuningCohort
  ) -> ScoreFitResult {
    let choices = choices(trials, tallies, tuning)
    let pooled = choices.map { $0.pooled(tallies, tuning, seed: seed) }
    let figures = TuningFigures.all(
      pooled + choices.map { tallies[$0.final] }, of: tuning, among: tuning.folds.all, resamples: resamples, seed: seed)
    let found = choices.indices.map { place in
      ScoreFitResult.Budget(
        alertsPerPatientDay: budgets[place], crossValidated: figures[place],
        apparent: figures[choices.count + place], policy: trials[choices[place].final].policy,
        shortfall: choices[place].shortfall, folds: choices[place].folds.map { trials[$0].policy })
    }
    return ScoreFitResult(
      final: fits[fits.count - 1], folds: Array(fits.dropLast()), budgets: found, trials: trials.count,
      exclusions: tuning.cohort.exclusions, kinds: tuning.cohort.kinds)
  }
}
