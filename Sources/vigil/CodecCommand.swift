import AlertJournal
import ChunkCoding
import Digests
import Foundation
import KeyValueStore
import Pipeline
import SeriesStore
import Service
import VitalModel

/// `vigil codec`: what the chunk codec knows before the first sample of a chunk, learned, looked at and put into a store.
enum CodecCommand {
  static let command = Command(
    name: "codec", summary: "teach the chunk codec from recordings or a store, and put what it learned into a store",
    example: "vigil codec train var/vigil --id 1000 --output ward.states && vigil codec install ward.states",
    flags: StoreAccess.flags + [
      Flag("--output", "FILE", "train: where the set goes"),
      Flag("--id", "N", "train: the set's number, 1000 to 4294967295 (default 1000)"),
      Flag("--simulator", "train: from the simulator instead of inputs, as the built-in set 1"),
      Flag("--seed", "S", "train: of the simulator (default 11: the built-in set)"),
      Flag("--rules", "DIR", "train: rules, for the vitals (default Rules)"),
      Flag("--columns", "NAME", "train: column map in Rules/maps (default: by the recording's folder)"),
      Flag("--map", "COLUMN=KEY[:UNIT]", repeats: true, "train: what a column holds"),
      Flag("--force", "install: even if it saves nothing"),
      Flag("--by", "USER", "install: a user's id, for the audit"), Flag("--json", "facts as JSON"),
    ], positional: "train INPUT... | list | show N|FILE | install FILE", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let usage = CommandFailure(
      ExitCode.usage, "usage: vigil codec train INPUT... --output FILE | list | show N|FILE | install FILE")
    guard let action = arguments.positional.first else { throw usage }
    switch (action, arguments.positional.count) {
    case ("train", _): return try CodecTraining.run(arguments, inputs: Array(arguments.positional.dropFirst()))
    case ("list", 1): return try list(arguments)
    case ("show", 2): return try show(arguments.positional[1], arguments)
    case ("install", 2): return try install(arguments.positional[1], arguments)
    case ("list", _), ("show", _), ("install", _): throw usage
    default:
      let actions = ["train", "list", "show", "install"]
      let hint = Arguments.nearest(action, actions).map { ", did you mean `\($0)`?" } ?? ""
      throw CommandFailure(ExitCode.usage, "codec: unknown action `\(action)`\(hint)")
    }
  }

  // MARK: Looking

  private static func list(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let access = try StoreAccess(arguments)
    let sets: [StartStates] = try access.reading { try StatesShelf(access.store.store).all() }
    let chosen = sets.last?.id
    if arguments.has("--json") {
      for set in sets {
        var out = JSONText()
        out.object {
          describe(set, &$0)
          $0.field("in_use", set.id == chosen)
        }
        printLine(out.text)
      }
      return ExitCode.ok
    }
    let rows = sets.map { set -> [String] in
      let use = set.id == chosen ? "for new chunks" : ""
      return [
        String(set.id), origin(set), String(set.valueNames.count), String(set.stampKinds.count),
        String(set.bytes.count), use,
      ]
    }
    printLine(TextTable.format([["SET", "FROM", "VALUE MODELS", "STAMP MODELS", "BYTES", "USED"]] + rows))
    return ExitCode.ok
  }

  private static func origin(_ set: StartStates) -> String {
    switch set.id {
    case 0: "nothing: untrained"
    case ..<StatesShelf.ownNumberMin: "the program"
    default: "this store"
    }
  }

  private static func show(_ name: String, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let set: StartStates
    if let id = UInt32(name) { set = try find(id, arguments) } else { set = try read(name) }
    if arguments.has("--json") {
      var out = JSONText()
      out.object { out in
        describe(set, &out)
        out.field("values", set.valueNames.map(\.description))
        out.field("stamps", set.stampKinds.map { "\($0)" })
      }
      printLine(out.text)
      return ExitCode.ok
    }
    printLine("set \(set.id), \(set.bytes.count) bytes, sha256 \(hash(set))")
    printLine(TextTable.format(set.valueNames.enumerated().map { ["value \($0.offset + 1)", $0.element.description] }))
    printLine(TextTable.format(set.stampKinds.enumerated().map { ["stamp \($0.offset + 1)", "\($0.element)"] }))
    return ExitCode.ok
  }

  private static func find(_ number: UInt32, _ arguments: Arguments) throws(CommandFailure) -> StartStates {
    if let own = StatesShelf.own.first(where: { $0.id == number }) { return own }
    let access = try StoreAccess(arguments)
    let found = try access.reading { try StatesShelf(access.store.store).installed() }
    guard let set = found.first(where: { $0.id == number }) else {
      throw CommandFailure(ExitCode.usage, "\(access.path): no set \(number) here; vigil codec list shows them")
    }
    return set
  }

  static func read(_ path: String) throws(CommandFailure) -> StartStates {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw CommandFailure(ExitCode.usage, "\(path): no such file; vigil codec train --output writes one")
    }
    do throws(ChunkError) {
      return try StartStates(bytes: Array(data))
    } catch {
      throw CommandFailure(ExitCode.failed, "\(path): not a set of start states: \(error)")
    }
  }

  static func describe(_ set: StartStates, _ out: inout JSONText) {
    out.field("id", Int(set.id))
    out.field("bytes", set.bytes.count)
    out.field("sha256", hash(set))
    out.field("value_models", set.valueNames.count)
    out.field("stamp_models", set.stampKinds.count)
  }

  static func hash(_ set: StartStates) -> String { hex(sha256(set.bytes)) }

  // MARK: Installing

  private static func install(_ file: String, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let set = try read(file)
    guard set.id >= StatesShelf.ownNumberMin else {
      throw CommandFailure(
        ExitCode.usage, "\(file): number \(set.id) is the program's own; train with --id 1000 or above")
    }
    let path = try StoreAccess.path(arguments)
    guard let check = try check(set, arguments) else {
      printError("set \(set.id) is installed already")
      return ExitCode.ok
    }
    let isWorth = check.samples > 0 && check.saving >= CodecLessons.savingMin
    guard isWorth || arguments.has("--force") else {
      let found =
        check.samples == 0
        ? "the store holds nobody to check it on"
        : "it saves \(percent(check.saving)) on the people held out, and must save \(percent(CodecLessons.savingMin))"
      throw CommandFailure(ExitCode.failed, "\(file): not installed: \(found); --force installs it anyway")
    }
    try put(set, path, check, arguments)
    report(set, check, arguments)
    return ExitCode.ok
  }

  /// What the set makes of the store's people that no training sees; nil where it is there already.
  private static func check(_ set: StartStates, _ arguments: Arguments) throws(CommandFailure) -> CodecLessons.Check? {
    let access = try StoreAccess(arguments)
    let lessons = CodecLessons(learns: false)
    return try access.reading {
      let installed = try StatesShelf(access.store.store).installed()
      if installed.contains(where: { $0.id == set.id && $0.bytes == set.bytes }) { return nil }
      try CodecTraining.read(access, into: lessons, heldOutOnly: true)
      return try lessons.check(set, against: try StatesShelf(access.store.store).inUse())
    }
  }

  private static func put(
    _ set: StartStates, _ path: String, _ check: CodecLessons.Check, _ arguments: Arguments
  ) throws(CommandFailure) {
    do {
      let store = try VigilStore.open(path: path, key: try StoreAccess.masterKey(arguments, store: path))
      defer { store.close() }
      let batch = store.makeBatch()
      switch try StatesShelf(store.store).put(set, in: batch) {
      case .isThere: return
      case .numberIsTaken:
        throw CommandFailure(
          ExitCode.usage, "\(path): another set has number \(set.id) and keeps it; train with another --id")
      case .added: break
      }
      let entry = AuditEntry(
        time: Int64(Date().timeIntervalSince1970 * 1000), actor: arguments.value("--by") ?? NSUserName(),
        action: "codec.install", subject: "states \(set.id)",
        detail: "sha256 \(hash(set)), saves \(percent(check.saving)) of \(check.samples) samples held out",
        reason: arguments.has("--force") ? "forced" : "")
      try store.audit.record(entry, with: batch, sync: true)
    } catch let failure as CommandFailure {
      throw failure
    } catch StoreError.inUse {
      throw CommandFailure(
        ExitCode.inUse, "\(path): the store is in use; stop the service, install, and start it again")
    } catch {
      throw CommandFailure(ExitCode.failed, "\(path): \(error)")
    }
  }

  private static func report(_ set: StartStates, _ check: CodecLessons.Check, _ arguments: Arguments) {
    guard arguments.has("--json") else {
      let saving = check.samples == 0 ? "" : "; it saves \(percent(check.saving)) on \(check.samples) samples held out"
      return printLine("set \(set.id) installed: chunks sealed from the next start on begin with it\(saving)")
    }
    var out = JSONText()
    out.object {
      describe(set, &$0)
      describe(check, &$0)
    }
    printLine(out.text)
  }

  static func describe(_ check: CodecLessons.Check, _ out: inout JSONText) {
    out.field("held_out_samples", check.samples)
    guard check.samples > 0 else { return }
    out.field("held_out_bytes_before", check.bytesBefore)
    out.field("held_out_bytes_after", check.bytesAfter)
    out.field("saving", check.saving)
  }

  static func percent(_ share: Double) -> String { String(format: "%.1f %%", share * 100) }
}
