import AlertJournal
import Digests
import Foundation
import Service
import VitalModel

/// What `vigil keys` says, for people and for programs.
enum KeysText {
  static func status(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let access = try StoreAccess(arguments)
    let answer: KeysAnswer
    do throws(KeysRefusal) {
      answer = try KeysDesk(store: access.store, now: 0).answer(KeysRequest(.status))
    } catch {
      throw CommandFailure(ExitCode.failed, "\(access.path): \(error.line)")
    }
    guard access.store.isEncrypted else {
      let held = answer.status?.holds.keys.sorted() ?? []
      let numbers = held.map(String.init).joined(separator: ",")
      printLine(
        arguments.has("--json") ? "{\"ok\":true,\"encrypted\":false,\"held\":[\(numbers)]}" : "not encrypted")
      return ExitCode.ok
    }
    printLine(arguments.has("--json") ? answer.json : text(answer.status ?? KeyService.Status()))
    return ExitCode.ok
  }

  private static func text(_ status: KeyService.Status) -> String {
    var rows = [
      ["encryption", "AES-256-GCM, each value under the key of its patient, its hour or the store"],
      ["store key", "generation \(status.storeGeneration)"], ["patients' keys", String(status.patients)],
      ["journal hours' keys", String(status.hours)],
    ]
    for tenant in status.tenants {
      let name = tenant.name.isEmpty ? "(none)" : tenant.name
      rows.append(["tenant \(name)", "generation \(tenant.generation), \(tenant.patients) patients"])
    }
    for (patient, since) in status.holds.sorted(by: { $0.key < $1.key }) {
      rows.append(["held", "patient #\(patient) since \(Timestamp.format(since))"])
    }
    for stone in status.tombstones {
      rows.append(["erased", "patient #\(stone.patient) at \(Timestamp.format(stone.timeMs)) by \(stone.actor)"])
    }
    return TextTable.format(rows)
  }

  static func sealed(_ report: StoreSealing.Report, _ path: String, _ asJSON: Bool) -> String {
    if asJSON {
      var out = JSONText()
      out.object {
        $0.field("ok", true)
        $0.field("rows", report.rows)
        $0.field("strange_keys", report.strangeKeys)
        $0.field("damaged_files", report.damagedFiles)
      }
      return out.text
    }
    var lines = [
      "\(path) is encrypted: \(report.rows) rows. Backups made before are not; the disk's free blocks may keep old bytes"
    ]
    if report.damagedFiles > 0 { lines.append("\(report.damagedFiles) files in \(path)/damaged were sealed too") }
    if report.strangeKeys > 0 {
      lines.append(
        "\(report.strangeKeys) rows have keys that are not as their format says: their values are sealed, their keys are "
          + "not; look with `vigil verify`")
    }
    return lines.joined(separator: "\n")
  }

  static func report(_ report: PatientErasure.Report, backups: [String]?, _ asJSON: Bool) -> String {
    if asJSON {
      var out = JSONText()
      out.object {
        $0.field("ok", true)
        $0.field("patient", Int(report.patient))
        $0.field("time", Timestamp.format(report.timeMs))
        $0.field("proof", hex(report.proof))
        $0.field("rows_deleted", report.rowsDeleted)
        $0.field("rows_rewritten", report.rowsRewritten)
        $0.field("journal_hours", report.journalHours)
        $0.field("journal_batches", report.journalBatches)
        $0.field("journal_entries", report.journalEntries)
        $0.field("digests_withdrawn", report.digestsWithdrawn)
        $0.field("rows_unreadable", report.rowsUnreadable)
        $0.field("batches_undecodable", report.batchesUndecodable)
        $0.field("quarantine_spared", report.quarantineSpared)
        $0.field("damaged_files_removed", report.damagedFilesRemoved)
        $0.field("leftovers", report.leftovers)
        if let backups { $0.field("backups", backups) }
      }
      return out.text
    }
    var lines = [
      "patient #\(report.patient) is erased: keys destroyed, \(report.rowsDeleted) rows deleted, "
        + "\(report.rowsRewritten) rewritten, \(report.journalEntries) journal entries emptied in "
        + "\(report.journalHours) hours",
      "proof \(hex(report.proof)), in the audit chain",
      "take the patient out of the roster file too, or the next start learns of the patient anew",
    ]
    if report.digestsWithdrawn > 0 {
      lines.append("\(report.digestsWithdrawn) messages to receivers that named others too were taken back")
    }
    lines += remarks(report)
    switch backups {
    case nil:
      lines.append(
        "backups made before \(Timestamp.format(report.timeMs)) still hold the patient: name them with --backups DIR, "
          + "and delete them")
    case let times?:
      lines.append(
        times.isEmpty
          ? "no backup holds the patient" : "backups that still hold the patient: " + times.joined(separator: ", "))
    }
    return lines.joined(separator: "\n")
  }

  /// What an erasure met that somebody should know of.
  private static func remarks(_ report: PatientErasure.Report) -> [String] {
    var lines: [String] = []
    if report.rowsUnreadable > 0 {
      lines.append("\(report.rowsUnreadable) rows did not read and were stepped over: look with `vigil verify`")
    }
    if report.batchesUndecodable > 0 {
      lines.append("\(report.batchesUndecodable) batches of the journal did not read; their keys are destroyed")
    }
    if report.quarantineSpared > 0 {
      lines.append("\(report.quarantineSpared) refused messages stay, as a patient who is held may own them")
    }
    if report.damagedFilesRemoved > 0 {
      lines.append("\(report.damagedFilesRemoved) files that had been put aside were removed")
    }
    if !report.leftovers.isEmpty {
      lines.append(
        "copies of the store that may hold the patient; delete them: " + report.leftovers.joined(separator: ", "))
    }
    return lines
  }
}
