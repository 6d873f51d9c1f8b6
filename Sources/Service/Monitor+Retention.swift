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
      let held = try heldPatients()
      let floors = [try SeriesReader(service.store.store).plan.sealFloor, try floorOfStates()]
      let keep = floors.min() ?? 0
      try trimShared(now, retain, keepFrom: keep)
      try trimSeries(now, retain, held)
      try trimLedger(now, retain, held)
      let batch = service.store.makeBatch()
      try service.store.registry.trimTexts(keepFrom: keep, in: batch)
      try service.store.actions.trim(now: now, silencesOver: now - retain.ledger, in: batch)
      let rules = try service.store.registry.latestText(.rules, atOrBefore: floors[1])
      service.store.state.forget(rulesBefore: rules?.position ?? 0, in: batch)
      try service.store.write(batch, sync: false)
    } catch {
      service.log.error("monitor", "retention failed; trying again later", ["reason": LogValue("\(error)")])
    }
  }

  /// What belongs to the store as a whole: it is kept by time, not by tenant.
  private func trimShared(_ now: Int64, _ retain: VigilConfiguration.Retention, keepFrom keep: UInt64) throws {
    let trimmed = try service.store.journal.trim(
      olderThan: now - retain.journal, maxBytes: retain.journalBytes, keepFrom: keep + 1)
    if trimmed.batches > 0 {
      service.log.info("monitor", "journal trimmed", ["batches": LogValue(trimmed.batches)])
    }
    try account("journal", now, [("batches", trimmed.batches)])
    let marks = try service.store.outbox.trimMarks(olderThan: now - (retain.outboxMarks ?? retain.journal))
    try account("outbox_marks", now, [("marks", marks)])
    try service.keeper.trimDeadLetters(olderThan: now - retain.ledger)
    let old = now - (retain.quarantine ?? retain.ledger)
    let quarantined = try service.store.quarantine.count(olderThan: old)
    guard quarantined > 0 else { return }
    let batch = service.store.makeBatch()
    service.store.quarantine.trim(olderThan: old, in: batch)
    try account("quarantine", now, [("payloads", quarantined)], with: batch)
  }

  /// Chunks, rollups and superseded values, by each patient's tenant; nothing of a patient under hold.
  private func trimSeries(_ now: Int64, _ retain: VigilConfiguration.Retention, _ held: Set<UInt32>) throws {
    let outcome = try Retention(service.sealer.sealer).run { patient in
      guard !held.contains(patient) else { return nil }
      let kept = retain.lengths(tenant: tenant(patient))
      return RetentionCutoffs(
        chunks: now - kept.chunks, rollups: now - kept.rollups, superseded: now - kept.superseded)
    }
    if outcome.damagedGroups > 0 {
      service.log.error(
        "monitor", "retention left patients alone whose chunks are damaged; `vigil verify` names them",
        ["groups": LogValue(outcome.damagedGroups)])
    }
    try account("chunks", now, [("chunks", outcome.chunks), ("samples", outcome.samples)])
    try account("rollups", now, [("days", outcome.rollupDays)])
    try account("superseded", now, [("values", outcome.superseded)])
  }

  private func trimLedger(_ now: Int64, _ retain: VigilConfiguration.Retention, _ held: Set<UInt32>) throws {
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
  ) throws {
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
