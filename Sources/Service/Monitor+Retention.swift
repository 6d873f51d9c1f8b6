import AlertJournal
import Configuration
import Instrumentation
import KeyValueStore
import Pipeline
import SeriesStore
import Synchronization
import VitalModel

/// Retention: what is past its time goes, by tenant and class of data, and every deletion is accounted for.
extension Monitor {
  /// Drops what is older than its retention, and the journal by size too, never beyond what sealing and evaluation need.
  func trim(_ now: Int64) {
    let retain = service.configuration.withLock { $0.retain }
    do {
      // Each step asks anew who is held: a hold that is set meanwhile spares what is still there.
      let statesFloor = try floorOfStates()
      let plan = try SeriesReader(service.store.store).plan
      try trimShared(now, retain, keepFrom: plan.journalFloor(statesReflect: statesFloor))
      try trimSeries(now, retain)
      try trimLedger(now, retain)
      let batch = service.store.makeBatch()
      try service.store.registry.trimTexts(keepFrom: min(plan.sealFloor, statesFloor), in: batch)
      let silencesOver = try heldPatients().isEmpty ? now - retain.ledger : .min
      try service.store.actions.trim(now: now, silencesOver: silencesOver, in: batch)
      let rules = try service.store.registry.latestText(.rules, atOrBefore: statesFloor)
      service.store.state.forget(rulesBefore: rules?.position ?? 0, in: batch)
      try service.store.write(batch, sync: false)
    } catch {
      service.log.error("monitor", "retention failed; trying again later", ["reason": LogValue("\(error)")])
    }
  }

  /// What belongs to the store as a whole: it is kept by time, not by tenant. Its rows do not all say whose they are, so
  /// while anybody is under hold nothing of it goes by age; the journal still goes by size.
  private func trimShared(_ now: Int64, _ retain: VigilConfiguration.Retention, keepFrom keep: UInt64) throws {
    let isHeld = try !heldPatients().isEmpty
    let trimmed = try service.store.journal.trim(
      olderThan: isHeld ? .min : now - retain.journal, maxBytes: retain.journalBytes, keepFrom: keep)
    if trimmed.batches > 0 {
      service.log.info("monitor", "journal trimmed", ["batches": LogValue(trimmed.batches)])
    }
    try account("journal", now, [("batches", trimmed.batches)])
    let marks = try service.store.outbox.trimMarks(olderThan: now - (retain.outboxMarks ?? retain.journal))
    try account("outbox_marks", now, [("marks", marks)])
    if isHeld { return }
    try service.keeper.trimDeadLetters(olderThan: now - retain.ledger)
    let old = now - (retain.quarantine ?? retain.ledger)
    let quarantined = try service.store.quarantine.count(olderThan: old)
    guard quarantined > 0 else { return }
    let batch = service.store.makeBatch()
    service.store.quarantine.trim(olderThan: old, in: batch)
    try account("quarantine", now, [("payloads", quarantined)], with: batch)
  }

  /// Chunks, rollups and superseded values, by each patient's tenant; nothing of a patient under hold. Deletions and their
  /// entries in the audit chain are one write, so that a run that fails halfway has accounted for all that went.
  private func trimSeries(_ now: Int64, _ retain: VigilConfiguration.Retention) throws {
    let outcome = try Retention(service.sealer.sealer).run(
      now: now,
      commit: { (kind, outcome, batch) throws(SeriesError) in
        do throws(JournalError) {
          try account(kind, outcome, now, batch)
        } catch {
          guard case .store(let reason) = error else { throw .damaged("audit entry") }
          throw .store(reason)
        }
      },
      { patient in
        // Who cannot be asked about is spared.
        guard let isHeld = try? service.store.holds.isHeld(patient), !isHeld else { return nil }
        let kept = retain.lengths(tenant: tenant(patient))
        return RetentionCutoffs(
          chunks: now - kept.chunks, rollups: now - kept.rollups, superseded: now - kept.superseded)
      })
    if outcome.damagedGroups > 0 {
      service.log.error(
        "monitor", "retention left patients alone whose chunks are damaged; `vigil verify` names them",
        ["groups": LogValue(outcome.damagedGroups)])
    }
  }

  private func account(
    _ kind: RetentionClass, _ outcome: RetentionOutcome, _ now: Int64, _ batch: WriteBatch
  ) throws(JournalError) {
    let counts =
      switch kind {
      case .chunks: [("chunks", outcome.chunks), ("samples", outcome.samples)]
      case .rollups: [("days", outcome.rollupDays)]
      case .superseded: [("values", outcome.superseded)]
      }
    // Marks alone, of which there is nothing to tell.
    guard counts[0].1 > 0 else {
      do throws(StoreError) { return try service.store.write(batch, sync: false) } catch { throw .store(error) }
    }
    try account(kind.rawValue, now, counts, with: batch)
  }

  private func trimLedger(_ now: Int64, _ retain: VigilConfiguration.Retention) throws {
    let held = try heldPatients()
    let shortest = retain.tenants.values.compactMap(\.ledger).reduce(retain.ledger, min)
    let batch = service.store.makeBatch()
    let rows = try service.store.ledger.trim(before: now - shortest, in: batch) { patient in
      held.contains(patient) ? nil : now - retain.lengths(tenant: tenant(patient)).ledger
    }
    try account("ledger", now, [("rows", rows)], with: batch)
  }

  /// Counts what went, and puts it into the audit chain together with the deletions when they are given: both or neither.
  /// The entry names a class of data and how much of it went, and no person.
  private func account(
    _ kind: String, _ now: Int64, _ counts: [(String, Int)], with batch: WriteBatch? = nil
  ) throws(JournalError) {
    guard counts.contains(where: { $0.1 > 0 }) else { return }
    try service.store.audit.record(
      AuditEntry(
        time: now, actor: "vigil", action: "retention.\(kind)", subject: "store",
        detail: counts.map { "\($0.0) \($0.1)" }.joined(separator: ", ")), with: batch, sync: false)
    service.meters.retained.with(kind).add(counts[0].1)
  }

  /// Patients under legal hold: nothing of theirs goes.
  private func heldPatients() throws -> Set<UInt32> { Set(try service.store.holds.all().keys) }

  private func tenant(_ patient: UInt32) -> String { service.directory.patientKey(patient)?.tenant ?? "" }

  private func floorOfStates() throws -> UInt64 {
    try service.store.state.progress().values.map(\.floor).min() ?? 0
  }
}
