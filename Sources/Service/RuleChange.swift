import AlertJournal
import Configuration
import Digests
import Evaluation
import Foundation
import KeyValueStore
import Pipeline
import RuleLanguage
import VitalModel
import YAMLText

/// Why rules are not put in force: one line that says what to do.
package struct RuleRefusal: Error, Equatable {
  package var line: String
  package init(_ line: String) { self.line = line }
}

/// What a person asks for with `vigil rules deploy`.
package struct RuleChange: Sendable {
  package var files: RuleFiles
  /// nil: the set of the deployment in force.
  package var set: String?
  package var mode = RuleMode.live
  /// Care units it is for; empty: all.
  package var units: [String] = []
  /// Ids it is for; empty: all that differ.
  package var rules: [String] = []
  package var author = ""
  package var approver: String?
  package var reason = ""

  package init(files: RuleFiles) { self.files = files }

  /// The deployment that follows `current`, unsigned, with its plan.
  package func deployment(
    after current: RuleDeployment, now: Int64
  ) throws(RuleRefusal) -> (deployment: RuleDeployment, plan: RulePlan) {
    let isWhole = mode == .live && units.isEmpty && rules.isEmpty
    var next = isWhole ? RuleDeployment(files: files, set: set ?? current.set) : current
    if !isWhole { next.layers = RuleChange.layers(current.layers, with: try layer(over: current)) }
    next.files = current.files
    next.origin = .deploy
    next.restores = nil
    next.signature = nil
    let plan = try RuleChange.complete(&next, after: current, author, approver, reason, now: now)
    let isSame = next.sources == current.sources && next.registry == current.registry && next.set == current.set
    guard !isSame || next.layers != current.layers else {
      throw RuleRefusal("these rules are in force already (\(current.shortVersion)); nothing to deploy")
    }
    return (next, plan)
  }

  /// The deployment that puts an earlier one back, unsigned, with its plan.
  ///
  /// - Parameter number: nil: the one before that in force, and before the one it had put back where it is a rollback.
  package static func rollback(
    _ history: [RuleDeployment], to number: Int?, author: String, approver: String?, reason: String, now: Int64
  ) throws(RuleRefusal) -> (deployment: RuleDeployment, plan: RulePlan) {
    guard let current = history.last else { throw RuleRefusal("the store holds no rules yet; nothing to go back to") }
    let target = number ?? (current.restores ?? current.number) - 1
    guard let earlier = history.first(where: { $0.number == target }) else {
      let known = history.map { String($0.number) }.joined(separator: ", ")
      throw RuleRefusal("no deployment \(target) to go back to; `vigil rules list` shows them (kept: \(known))")
    }
    guard target != current.number else { throw RuleRefusal("deployment \(target) is in force already") }
    var next = earlier
    next.files = current.files
    next.origin = .rollback
    next.restores = target
    next.signature = nil
    let plan = try complete(&next, after: current, author, approver, reason, now: now)
    return (next, plan)
  }

  private static func complete(
    _ next: inout RuleDeployment, after current: RuleDeployment, _ author: String, _ approver: String?,
    _ reason: String, now: Int64
  ) throws(RuleRefusal) -> RulePlan {
    next.number = current.number + 1
    next.previous = current.version
    next.author = author
    next.approver = approver
    next.reason = reason
    next.time = now
    let plan: RulePlan
    do throws(RuleFiles.Failure) {
      plan = try next.plan()
    } catch {
      throw RuleRefusal(error.description)
    }
    next.version = plan.version
    return plan
  }

  // MARK: Only some rules

  /// Layers without what a new one replaces.
  private static func layers(
    _ layers: [RuleDeployment.Layer], with new: RuleDeployment.Layer
  ) -> [RuleDeployment.Layer] {
    func isReplaced(_ old: RuleDeployment.Layer) -> Bool {
      if new.mode == RuleMode.off.rawValue || (new.mode == RuleMode.live.rawValue && new.units.isEmpty) { return true }
      return old.mode == new.mode && old.units.isEmpty == new.units.isEmpty
    }
    var kept: [RuleDeployment.Layer] = []
    for var layer in layers {
      if isReplaced(layer) { layer.rules.removeAll { new.rules.contains($0) } }
      if !layer.rules.isEmpty { kept.append(layer) }
    }
    return kept + [new]
  }

  private func layer(over current: RuleDeployment) throws(RuleRefusal) -> RuleDeployment.Layer {
    let chosenSet = set ?? current.set
    let candidate: RulePlan
    let base: RulePlan
    do throws(RuleFiles.Failure) {
      candidate = try files.plan(set: chosenSet)
      base = try current.plan()
    } catch {
      throw RuleRefusal(error.description)
    }
    guard candidate.registry.vitals.map(\.canonicalText) == base.registry.vitals.map(\.canonicalText) else {
      throw RuleRefusal("vitals.yaml differs from the one in force: deploy the whole directory live first")
    }
    for unit in units where unit.isEmpty || unit.contains(where: { $0.isWhitespace || $0 == "," }) {
      throw RuleRefusal("`\(unit)` is not a care unit; use names as the roster has them")
    }
    let ids = try ids(candidate, base)
    return RuleDeployment.Layer(
      mode: mode.rawValue, units: Array(Set(units)).sorted(), rules: ids, set: chosenSet, sources: files.sources)
  }

  private func ids(_ candidate: RulePlan, _ base: RulePlan) throws(RuleRefusal) -> [String] {
    let known = (mode == .off ? base : candidate).rules.map(\.id)
    for id in rules where !known.contains(id) {
      let hint = Suggestion.nearest(id, among: known).map { ", did you mean `\($0)`?" } ?? ""
      throw RuleRefusal("no rule `\(id)` in \(mode == .off ? "force" : files.directory)\(hint)")
    }
    if mode == .off {
      guard !rules.isEmpty else { throw RuleRefusal("`--mode off` needs the rules it is for: --rule ID,...") }
      return rules.sorted()
    }
    let changed = candidate.rules.filter { rule in
      let old = base.rules.first { $0.id == rule.id && $0.variant.isEmpty }
      return old.map { $0.version != rule.version || (mode == .live && $0.mode != rule.mode) } ?? true
    }.map(\.id)
    for id in rules where !changed.contains(id) {
      throw RuleRefusal("rule `\(id)` is the same in \(files.directory) as in force; name rules that differ")
    }
    let chosen = rules.isEmpty ? changed : rules
    guard !chosen.isEmpty else { throw RuleRefusal("no rule of \(files.directory) differs from those in force") }
    return chosen.sorted()
  }
}

extension RuleDeployment {
  /// Longest texts of a person's words.
  private static let nameMax = 200
  private static let reasonMax = 2000

  /// Whether it may follow `current`; the service asks whatever the command asked before.
  ///
  /// - Returns: its plan.
  package func checked(after current: RuleDeployment?, isProduction: Bool) throws(RuleRefusal) -> RulePlan {
    guard number == (current?.number ?? 0) + 1, previous == current?.version else {
      throw RuleRefusal("the rules changed meanwhile (now deployment \(current?.number ?? 0)); look and run it again")
    }
    try checkPeople(isProduction: isProduction)
    let plan: RulePlan
    do throws(RuleFiles.Failure) {
      plan = try self.plan()
    } catch {
      throw RuleRefusal(error.description)
    }
    guard plan.version == version else {
      throw RuleRefusal("the version does not fit the texts: deploy with the `vigil` the service runs")
    }
    // Patients' flags are one 64-bit set at run time.
    guard PlanLayout(plan: plan).flags.count <= RuleLibrary.flagsMax else {
      throw RuleRefusal("together these rules ask for more than \(RuleLibrary.flagsMax) different flags")
    }
    if let old = try? current?.baseFiles.registry() {
      let keys = old.vitals.map(\.key)
      guard Array(plan.registry.vitals.map(\.key).prefix(keys.count)) == keys else {
        throw RuleRefusal("vitals.yaml lists vitals in another order than the store: put new vitals at the end")
      }
    }
    guard journaled.count <= JournalBatchEncoder.textBytesMax else {
      throw RuleRefusal("the rule texts are too long for one journal entry; deploy the whole directory live")
    }
    return plan
  }

  private func checkPeople(isProduction: Bool) throws(RuleRefusal) {
    func isName(_ text: String) -> Bool {
      !text.isEmpty && text.utf8.count <= RuleDeployment.nameMax && !text.unicodeScalars.contains { $0.value < 32 }
    }
    guard isName(author) else { throw RuleRefusal("rules need an author: --author NAME, one line") }
    guard !reason.isEmpty, reason.utf8.count <= RuleDeployment.reasonMax else {
      throw RuleRefusal("rules need a reason: --reason TEXT, at most \(RuleDeployment.reasonMax) bytes")
    }
    if let approver, !isName(approver) { throw RuleRefusal("`--approver` must be a name on one line") }
    guard verdict != .invalid else { throw RuleRefusal("the signature does not fit this deployment; sign it again") }
    guard isProduction else { return }
    guard let approver, approver != author else {
      throw RuleRefusal("production needs a second person: --approver NAME, not the author")
    }
    guard verdict == .valid else { throw RuleRefusal("production needs a signature: --key FILE") }
  }
}

/// Rules put in force in a store that no service runs on: a journal entry that the next start takes up.
package enum OfflineRules {
  /// - Returns: its journal position; nil when a service has the store.
  package static func write(
    _ deployment: RuleDeployment, store path: String, key: MasterKey? = nil, isProduction: Bool, now: Int64
  ) throws(RuleRefusal) -> UInt64? {
    let store: VigilStore
    do throws(StoreError) {
      store = try VigilStore.open(path: path, key: key)
    } catch {
      if case .inUse = error { return nil }
      throw RuleRefusal("\(path): \(error.description)")
    }
    defer { store.close() }
    do {
      let history = try RuleHistory.read(store)
      _ = try deployment.checked(after: history.last, isProduction: isProduction)
      let recovery = try Recovery.plan(store)
      var slot = Slot()
      slot.kind = .payload
      slot.code = VitalCode(index: UInt16(JournalTextKind.rules.rawValue))
      slot.payload = recovery.nextPosition
      slot.eventTime = now
      slot.ingestTime = max(now, recovery.lastIngestMs ?? .min)
      var encoder = JournalBatchEncoder()
      try encoder.append(slot, kind: .rules, text: deployment.journaled)
      let batch = store.makeBatch()
      try store.journal.append(encoder.finish(partitions: 0), to: batch)
      try store.write(batch, sync: true)
      var marker = CommitMarker(storePath: path)
      _ = marker.write(slot.payload)
      return slot.payload
    } catch let refusal as RuleRefusal {
      throw refusal
    } catch {
      throw RuleRefusal("\(path): \(error)")
    }
  }
}
