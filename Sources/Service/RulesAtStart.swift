import AlertJournal
import Configuration
import Instrumentation
import Pipeline
import VitalModel

/// Which rules a start goes on with: the newest change wins. Rule files that are as they were when last taken up leave the
/// deployment in force that the store ends with; files that have changed since are a deployment of their own.
struct RulesAtStart {
  let deployment: RuleDeployment
  let plan: RulePlan
  /// Not in the journal yet.
  let isNew: Bool
  /// The files changed, and the profile does not let files alone change rules.
  let isFileChangeRefused: Bool

  init(
    _ files: RuleFiles, _ configuration: VigilConfiguration, _ store: VigilStore, now: Int64
  ) throws {
    let history = try RuleHistory.read(store)
    if let newest = history.last {
      let isUnchanged = newest.files == RuleDeployment.digest(files, set: configuration.ruleSet)
      if isUnchanged || configuration.profile == .production {
        deployment = newest
        plan = try RulesAtStart.plan(of: newest)
        isNew = false
        isFileChangeRefused = !isUnchanged
        return
      }
    }
    plan = try VigilService.plan(files, configuration)
    deployment = RuleDeployment.ofFiles(
      files, set: configuration.ruleSet, plan: plan, origin: .files, after: history.last, now: now)
    isNew = true
    isFileChangeRefused = false
  }

  static func plan(of deployment: RuleDeployment) throws(StartFailure) -> RulePlan {
    do throws(RuleFiles.Failure) {
      return try deployment.plan()
    } catch {
      throw .unavailable("the rules journaled in the store cannot be used by this version: \(error.description)")
    }
  }

  func tell(_ log: Log) {
    log.info("rules", isNew ? "rule files taken up" : "rules of the store stay in force", deployment.logFields)
    if isFileChangeRefused {
      log.warning(
        "rules", "rule files changed; in production they come into force by `vigil rules deploy`",
        deployment.logFields)
    }
  }
}

extension RuleDeployment {
  /// Rule files found at a start or a reload, as a deployment of their own.
  package static func ofFiles(
    _ files: RuleFiles, set: String?, plan: RulePlan, origin: Origin, after current: RuleDeployment?, now: Int64
  ) -> RuleDeployment {
    var deployment = RuleDeployment(files: files, set: set)
    deployment.number = (current?.number ?? 0) + 1
    deployment.version = plan.version
    deployment.previous = current?.version
    deployment.author = origin.rawValue
    deployment.reason = current == nil ? "first rules of this store" : "rule files changed"
    deployment.time = now
    deployment.origin = origin
    return deployment
  }

  var logFields: LogFields {
    [
      "number": LogValue(number), "version": LogValue(shortVersion), "author": LogValue(author),
      "mode": LogValue(modeText),
    ]
  }

  /// Twelve digits of the version: what people are shown and may type.
  package var shortVersion: String { RuleDeployment.short(version) }

  package static func short(_ version: String) -> String {
    String(version.drop { $0 != ":" }.dropFirst().prefix(12))
  }
}

/// The deployments a store holds, oldest first.
package enum RuleHistory {
  package static func read(_ store: VigilStore) throws(JournalError) -> [RuleDeployment] {
    try readWithPositions(store).map(\.deployment)
  }

  package static func readWithPositions(
    _ store: VigilStore
  ) throws(JournalError) -> [(position: UInt64, deployment: RuleDeployment)] {
    var found: [(position: UInt64, deployment: RuleDeployment)] = []
    for text in try store.registry.texts(.rules) {
      guard var deployment = RuleDeployment(journaled: text.bytes, place: (found.last?.deployment.number ?? 0) + 1)
      else { continue }
      // Entries of before: their version is known from their texts only.
      if deployment.version.isEmpty, let plan = try? deployment.plan() { deployment.version = plan.version }
      found.append((text.position, deployment))
    }
    return found
  }
}
