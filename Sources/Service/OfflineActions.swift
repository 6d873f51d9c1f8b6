import AlertJournal
import Foundation
import KeyValueStore
import Pipeline
import VitalModel

/// Actions taken in a store that no service runs on: a journal entry that the next start takes up (SEMANTICS E8).
package enum OfflineActions {
  /// - Parameter tenant: of patients named without one.
  /// - Returns: nil when a service has the store.
  package static func write(
    _ request: ActionRequest, store path: String, key: MasterKey? = nil, tenant: String, now: Int64
  ) throws(ActionRefusal) -> ActionReceipt? {
    guard FileManager.default.fileExists(atPath: path + "/CURRENT") else {
      throw ActionRefusal(.unknown, "\(path): no store here; name one with --store PATH or -c vigil.yaml")
    }
    let store: VigilStore
    do throws(StoreError) {
      store = try VigilStore.open(path: path, key: key)
    } catch {
      if case .inUse = error { return nil }
      throw ActionRefusal(.unavailable, "\(path): \(error.description)")
    }
    defer { store.close() }
    do {
      return try write(request, store, tenant: tenant, now: now)
    } catch let refusal as ActionRefusal {
      throw refusal
    } catch {
      throw ActionRefusal(.unavailable, "\(path): \(error)")
    }
  }

  private static func write(
    _ request: ActionRequest, _ store: VigilStore, tenant: String, now: Int64
  ) throws -> ActionReceipt {
    let plan = try store.registry.latestText(.rules).flatMap { try RuleDeployment(journaled: $0.bytes)?.plan() }
    guard let plan else { throw ActionRefusal(.unknown, "the store holds no rules yet; `vigil run` it once") }
    let directory = Directory(registry: plan.registry)
    try store.registry.restore(into: directory)
    let check = ActionCheck(store: store, directory: directory, tenant: tenant, rules: { plan.rules }, now: now)
    let checked = try check.checked(request)
    let recovery = try Recovery.plan(store)
    var slot = Slot()
    slot.kind = .payload
    slot.code = VitalCode(index: UInt16(JournalTextKind.action.rawValue))
    slot.patient = checked.patient
    slot.payload = recovery.nextPosition
    slot.eventTime = now
    slot.ingestTime = max(now, recovery.lastIngestMs ?? .min)
    var encoder = JournalBatchEncoder()
    try encoder.append(slot, kind: .action, text: StoredAction(checked.action).bytes)
    let batch = store.makeBatch()
    let partition = UInt64(directory.partition(ofPatient: checked.patient))
    try store.journal.append(encoder.finish(partitions: 1 << partition), to: batch)
    try store.actions.put(
      checked.action, patient: checked.patient, position: slot.payload, time: now, mark: nil, in: batch)
    try store.write(batch, sync: true)
    var marker = CommitMarker(storePath: store.path)
    _ = marker.write(slot.payload)
    return ActionReceipt(position: slot.payload, silence: checked.action.silence)
  }
}

extension AlertAction {
  /// The silence it sets; nil: it sets none.
  package var silence: Silence? {
    if case .silence(let silence) = self { return silence }
    return nil
  }
}
