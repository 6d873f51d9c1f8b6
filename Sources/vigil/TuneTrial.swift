import Digests
import Foundation
import Service
import Statistics
import VitalModel

/// Runs the settings of a tuning over the recording and folds their alerts into counts.
struct TuneTrial {
  let spec: TuneSpec
  let sweep: SweepRules
  let options: TuneOptions
  let evaluation: EvaluationOptions
  let session: ReplaySession.Options
  let labels: LabelSet
  /// Gives the whole recording to a taker, from its beginning.
  let feed: (any RowTaker) throws(CommandFailure) -> Void

  /// Settings of one pass over the recording: more would keep too many alerts in memory at once.
  private static let worldsAtOnce = 256

  /// Who was watched, and what today's rules told of them.
  private struct Ward {
    var watched: WatchedCohort
    var cohort: TuningCohort
    var today: SettingTally
  }

  /// Every setting asked for, each on the patients its search shows it.
  func run() throws(CommandFailure) -> TuningInput {
    switch options.search {
    case .grid:
      guard spec.grid.count <= TuneOptions.settingsMax else {
        throw CommandFailure(
          ExitCode.usage,
          "tune: \(spec.grid.count) settings are too many to try on everybody (\(TuneOptions.settingsMax)): "
            + "`--search halving`, or `--search random --trials N`")
      }
      return try whole(Array(0..<spec.grid.count))
    case .random: return try whole(spec.grid.sample(options.trials, seed: evaluation.seed))
    case .halving: return try halved()
    }
  }

  private func whole(_ positions: [Int]) throws(CommandFailure) -> TuningInput {
    var tallies: [SettingTally] = []
    var ward: Ward?
    var first = 0
    while first < positions.count {
      let part = Array(positions[first..<min(positions.count, first + TuneTrial.worldsAtOnce)])
      // Today's rules run beside the first settings.
      let result = try result(of: (ward == nil ? [SweepSetting()] : []) + part.map { spec.setting($0) }, session)
      var alerts = result.alerts[...]
      let known: Ward
      if let ward { known = ward } else { known = try self.ward(result.watched, today: alerts.removeFirst()) }
      ward = known
      tallies += self.tallies(of: Array(alerts), known.cohort)
      first += part.count
    }
    guard let ward else { throw CommandFailure(ExitCode.usage, "tune: there is no setting to try") }
    return input(ward, positions, tallies)
  }

  private func halved() throws(CommandFailure) -> TuningInput {
    let result = try result(of: [SweepSetting()], session)
    let ward = try ward(result.watched, today: result.alerts[0])
    let cohort = ward.cohort
    let events = cohort.cohort.events.count { cohort.folds.fold[$0.patient] >= 0 }
    let plan = TuningRungs(settings: spec.grid.count, events: events)
    let seed = evaluation.seed
    let outcome = try plan.run(Array(0..<spec.grid.count), cohort, options.objective, seed: seed) {
      (positions, isIn) throws(CommandFailure) in
      try tallies(positions, isIn, ward)
    }
    var input = input(ward, outcome.positions, outcome.tallies)
    (input.candidates, input.final, input.rungs) = (outcome.candidates, outcome.final, outcome.rungs)
    return input
  }

  /// Counts of some settings over some patients.
  private func tallies(
    _ positions: [Int], _ isIn: [Bool], _ ward: Ward
  ) throws(CommandFailure) -> [SettingTally] {
    var own = session
    own.patients = Set(zip(ward.watched.names, isIn).compactMap { $1 ? $0 : nil })
    var tallies: [SettingTally] = []
    var first = 0
    while first < positions.count {
      let part = Array(positions[first..<min(positions.count, first + TuneTrial.worldsAtOnce)])
      let result = try result(of: part.map { spec.setting($0) }, own)
      let places = result.watched.names.map { ward.watched.positions[$0] }
      let moved = result.alerts.map { alerts in
        alerts.compactMap { alert in
          places[alert.patient].map { patient in
            var moved = alert
            moved.patient = patient
            return moved
          }
        }
      }
      tallies += self.tallies(of: moved, ward.cohort)
      first += part.count
    }
    return tallies
  }

  /// By world, shared out between the threads.
  private func tallies(of worlds: [[EvaluatedAlert]], _ cohort: TuningCohort) -> [SettingTally] {
    let threads = min(options.threads, worlds.count)
    guard threads > 1 else { return worlds.map { cohort.tally($0) } }
    var tallies = [SettingTally?](repeating: nil, count: worlds.count)
    tallies.withUnsafeMutableBufferPointer { buffer in
      // Each place is written by one thread alone.
      nonisolated(unsafe) let places = buffer
      DispatchQueue.concurrentPerform(iterations: threads) { thread in
        for world in stride(from: thread, to: worlds.count, by: threads) { places[world] = cohort.tally(worlds[world]) }
      }
    }
    return tallies.compactMap { $0 }
  }

  private func input(_ ward: Ward, _ positions: [Int], _ tallies: [SettingTally]) -> TuningInput {
    var input = TuningInput(
      cohort: ward.cohort, grid: spec.grid, positions: positions, tallies: tallies, today: ward.today,
      objective: options.objective)
    input.todayValues = spec.today
    input.search = options.search.rawValue
    input.foldBy = options.foldBy
    input.resamples = evaluation.resamples
    input.seed = evaluation.seed
    input.rules = spec.rules
    input.rulesVersion = sweep.plan.version
    if ward.cohort.folds.hasHeldOut {
      let names = zip(ward.watched.names, ward.cohort.folds.heldOutMask).compactMap { $1 ? $0 : nil }
      input.heldOutDigest = "sha256:" + hex(sha256(names.joined(separator: "\n")))
    }
    return input
  }

  private func result(
    of settings: [SweepSetting], _ session: ReplaySession.Options
  ) throws(CommandFailure) -> SweepResult {
    var worlds: [SweepWorld] = []
    for setting in settings { worlds.append(try world(setting)) }
    let sweep = SettingSweep(
      worlds: worlds, options: session, threads: options.threads, worldsAtOnce: TuneTrial.worldsAtOnce + 1)
    return try sweep.run(feed)
  }

  private func world(_ setting: SweepSetting) throws(CommandFailure) -> SweepWorld {
    do throws(SweepProblem) {
      return try sweep.world(of: spec.rules, setting)
    } catch {
      throw CommandFailure(ExitCode.usage, "tune: \(error.description)")
    }
  }

  // MARK: Folds

  private func ward(_ watched: WatchedCohort, today: [EvaluatedAlert]) throws(CommandFailure) -> Ward {
    let cohort = watched.cohort(labels: labels)
    let folds = try folds(watched.names, cohort)
    let tuning = TuningCohort(cohort, folds: folds, convention: evaluation.convention, seed: evaluation.seed)
    if let name = options.foldBy { try check(tuning, foldsBy: name) }
    return Ward(watched: watched, cohort: tuning, today: tuning.tally(today))
  }

  /// Folds made by a column are as they come: without one of them there must still be something to choose by.
  private func check(_ tuning: TuningCohort, foldsBy name: String) throws(CommandFailure) {
    let cohort = tuning.cohort
    for fold in 0..<tuning.folds.count {
      let others = tuning.folds.training(without: fold)
      let place = "`--fold-by \(name)`: without the patients of `\(tuning.folds.names[fold])`"
      guard cohort.events.contains(where: { others[$0.patient] }) else {
        throw CommandFailure(ExitCode.failed, "\(place) no event is left to choose by")
      }
      if case .greatestMargin = options.objective, tuning.eventsWithControls(among: others) == 0 {
        throw CommandFailure(
          ExitCode.failed, "\(place) no event has a matched control of its own fold: there is no margin to choose by")
      }
    }
  }

  private func folds(_ names: [String], _ cohort: EvaluationCohort) throws(CommandFailure) -> PatientFolds {
    let withEvent = Set(cohort.events.map(\.patient)).count
    let (holdout, seed) = (options.holdout, evaluation.seed)
    if let name = options.foldBy {
      guard let column = cohort.groups.first(where: { $0.name == name }) else {
        let known = cohort.groups.map(\.name).joined(separator: ", ")
        throw CommandFailure(
          ExitCode.usage,
          "`--fold-by \(name)`: " + (known.isEmpty ? "there is no `--roster` that says" : "the roster has \(known)"))
      }
      let folds = PatientFolds(
        patients: names, hasEvent: cohort.hasEvent, groups: column.values, seed: seed, holdout: holdout)
      guard folds.count >= 2 else {
        throw CommandFailure(
          ExitCode.usage, "`--fold-by \(name)`: all patients are alike, there is nothing to split by")
      }
      return folds
    }
    guard Int(Double(withEvent) * (1 - holdout)) >= options.folds else {
      throw CommandFailure(
        ExitCode.failed,
        "tune: \(withEvent) patients with an event that can be judged are too few for \(options.folds) folds"
          + (holdout > 0 ? " beside those held out" : ""))
    }
    return PatientFolds(
      patients: names, hasEvent: cohort.hasEvent, count: options.folds, seed: seed, holdout: holdout)
  }

  // MARK: The chosen setting

  /// The chosen setting by itself, with chance beside it, on all patients but those held out.
  func judged(_ setting: SweepSetting, _ input: TuningInput) throws(CommandFailure) -> JudgedSetting {
    let result = try result(of: [setting], session)
    let (cohort, places) = input.cohort.cohort.restricted(to: input.cohort.folds.all)
    let alerts = result.alerts[0].compactMap { alert -> EvaluatedAlert? in
      guard let patient = places[alert.patient] else { return nil }
      var moved = alert
      moved.patient = patient
      return moved
    }
    let own = EvaluationInput(
      cohort: cohort, alerts: alerts, rules: result.rules[0], notifications: result.notifications[0],
      dataDigest: input.dataDigest, rulesVersion: try world(setting).plan.version)
    let names = zip(result.watched.names, places).compactMap { $1 == nil ? nil : $0 }
    return JudgedSetting(input: own, report: EvaluationReport(own, evaluation), names: names)
  }
}

/// One setting as `vigil evaluate` sees it.
struct JudgedSetting {
  var input: EvaluationInput
  var report: EvaluationReport
  /// Of the patients, by position.
  var names: [String]
}
