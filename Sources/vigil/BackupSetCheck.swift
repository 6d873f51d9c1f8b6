import AlertJournal
import Service
import VitalModel

/// `vigil verify --backup`: every file of a backup set, and all archived log in it.
enum BackupSetCheck {
  static func run(_ set: BackupSet, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let bar = ProgressBar(total: 0, label: "MB verified")
    defer { bar.finish() }
    var done = 0
    func progress(_ bytes: Int) {
      done += bytes
      bar.advance(to: done >> 20)
    }
    do throws(BackupError) {
      let listing = try set.listing()
      guard !listing.backups.isEmpty || !listing.damaged.isEmpty else {
        throw .absent("\(set.path): no backup here; name the folder `vigil backup` wrote to")
      }
      var isSound = listing.isComplete
      tell(listing, set)
      var read: BackupSet.Read = [:]
      var bad: [BackupFile] = []
      for backup in listing.backups {
        let found = set.verify(backup, &read, progress)
        bad += found
        tell(backup, found.map(\.name), set, arguments)
      }
      isSound = isSound && bad.isEmpty
      for verdict in try set.verifyArchive(progress) {
        isSound = isSound && verdict.isSound
        tell(verdict, set, arguments)
      }
      if arguments.has("--repair"), !(bad.isEmpty && listing.isComplete) {
        let moved = try set.putAside(bad)
        for place in moved { printError("vigil: put aside: \(place)") }
        if !bad.isEmpty { printError("vigil: run `vigil backup` now: it copies again what the store still has") }
      } else if !(bad.isEmpty && listing.isComplete) {
        printError(
          "vigil: \(set.path): `vigil verify --backup \(set.path) --repair` puts aside what is damaged; then `vigil backup`"
        )
      }
      return isSound ? ExitCode.ok : ExitCode.failed
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  private static func tell(_ listing: BackupSet.Listing, _ set: BackupSet) {
    for damaged in listing.damaged { printError("vigil: \(damaged)") }
    for number in listing.missing {
      printError("vigil: \(set.path): backup \(number) is missing between the others")
    }
  }

  private static func tell(
    _ backup: BackupManifest, _ damaged: [String], _ set: BackupSet, _ arguments: Arguments
  ) {
    guard arguments.has("--json") else {
      for name in damaged {
        printError("vigil: \(set.path): backup \(backup.facts.number): \(name) is missing or not what was copied")
      }
      if damaged.isEmpty { printLine("backup \(backup.facts.number): \(backup.files.count) files sound") }
      return
    }
    var out = JSONText()
    out.object {
      $0.field("backup", backup.facts.number)
      $0.field("sound", damaged.isEmpty)
      $0.field("files", backup.files.count)
      $0.field("damaged", damaged)
    }
    printLine(out.text)
  }

  private static func tell(_ verdict: BackupSet.ArchiveVerdict, _ set: BackupSet, _ arguments: Arguments) {
    guard arguments.has("--json") else {
      for finding in verdict.findings {
        printError("vigil: \(set.path): archived log of store \(finding.identity): \(words(finding))")
      }
      if verdict.isSound { printLine("archived log of store \(verdict.identity): \(verdict.batches) batches sound") }
      return
    }
    var out = JSONText()
    out.object { out in
      out.field("archive", verdict.identity)
      out.field("sound", verdict.isSound)
      out.field("batches", verdict.batches)
      out.field("bytes", verdict.bytes)
      out.array("findings") { out in
        for finding in verdict.findings {
          var one = JSONText()
          one.object {
            $0.field("kind", finding.kind.rawValue)
            $0.field("from", Int(clamping: finding.from))
            $0.field("to", finding.to.map { Int(clamping: $0) })
            $0.field("passed", finding.isPassed)
          }
          out.rawElement(one.text)
        }
      }
    }
    printLine(out.text)
  }

  private static func words(_ finding: BackupSet.ArchiveFinding) -> String {
    let place = "changes from \(finding.from)" + (finding.to.map { " to \($0 - 1)" } ?? " on")
    let what = finding.kind == .gap ? "\(place) were never archived" : "\(place) are damaged"
    return finding.isPassed
      ? "\(what); a backup made since reaches past them" : "\(what); no backup reaches past them: run `vigil backup`"
  }
}
