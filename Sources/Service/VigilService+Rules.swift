import Configuration
import Evaluation
import Instrumentation
import Pipeline
import Synchronization
import VitalModel

/// Rules put in force while the service runs: one journal entry that every evaluator meets at the same position.
extension VigilService {
  /// Puts a deployment in force.
  ///
  /// - Returns: its journal position, once it is durable.
  /// - Throws: when it may not follow the one in force; that one stays.
  package func deploy(_ deployment: RuleDeployment) throws(RuleRefusal) -> UInt64 {
    let isProduction = configuration.withLock { $0.profile == .production }
    let outcome = rules.withLock { current -> Result<UInt64, RuleRefusal> in
      do throws(RuleRefusal) {
        let plan = try deployment.checked(after: current, isProduction: isProduction)
        try checkOrder(of: plan.registry)
        sequencer.send(.rules(deployment.journaled, PlanLayout(plan: plan)))
        current = deployment
      } catch {
        return .failure(error)
      }
      guard let position = sequencer.waitUntilRulesDurable() else {
        return .failure(RuleRefusal("the service is stopping; look at `vigil rules list` and run it again"))
      }
      return .success(position)
    }
    let position = try outcome.get()
    log.info("rules", "rules deployed", deployment.logFields)
    return position
  }

  /// Slots carry vitals by number: new ones come at the end, and only a start makes room for them.
  private func checkOrder(of registry: VitalRegistry) throws(RuleRefusal) {
    let keys = directory.registryKeys
    guard Array(registry.vitals.map(\.key).prefix(keys.count)) == keys else {
      throw RuleRefusal("vitals.yaml lists vitals in another order; a change of order needs a new store")
    }
  }

  /// Takes up rule files that changed since they were last taken up; others leave what is deployed in force.
  func takeUp(_ files: RuleFiles, _ plan: RulePlan, _ configuration: VigilConfiguration) {
    rules.withLock { current in
      guard current.files != RuleDeployment.digest(files, set: configuration.ruleSet) else {
        log.info("rules", "rule files unchanged; the rules deployed stay in force", current.logFields)
        return
      }
      guard configuration.profile != .production else {
        log.warning(
          "rules", "rule files changed; in production they come into force by `vigil rules deploy`",
          current.logFields)
        return
      }
      let next = RuleDeployment.ofFiles(
        files, set: configuration.ruleSet, plan: plan, origin: .reload, after: current,
        now: settings.clock.wallMilliseconds())
      sequencer.send(.rules(next.journaled, PlanLayout(plan: plan)))
      current = next
      log.info("rules", "rule files taken up", next.logFields)
    }
  }
}
