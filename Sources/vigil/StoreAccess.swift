import AlertJournal
import Configuration
import Foundation
import KeyValueStore
import Pipeline
import Service
import VitalModel

/// A store opened for looking: it works beside a running service and beside none, and never writes to the store.
///
/// What is seen is the store as of the opening.
final class StoreAccess {
  let store: VigilStore
  let path: String
  let directory: Directory
  /// The vitals in the order the store's slots number them.
  let registry: VitalRegistry
  /// The newest rules the store's journal holds; nil before the first run.
  let journaledRules: RuleDeployment?
  private let scratch: String

  /// What commands that read a store take.
  static let flags = [
    Flag("--store", "PATH", "store directory (default: store.path of the configuration)"),
    Flag("-c", "FILE", "configuration (default ./vigil.yaml, else defaults)"),
    masterKeyFlag,
  ]

  static let masterKeyFlag = Flag(
    "--master-key", "REF", "env:NAME, file:PATH or command:/PATH (default: store.master_key of the configuration)")

  /// The key of the store at a path: `--master-key`, else the configuration's.
  ///
  /// The configuration at hand, not named by `-c`, is asked only where it is about the same store.
  static func masterKey(_ arguments: Arguments, store path: String) throws(CommandFailure) -> MasterKey? {
    var reference = try arguments.value("--master-key", as: "env:NAME, file:PATH or command:/PATH WORDS") {
      MasterKeyReference($0)
    }
    if reference == nil, arguments.value("-c") != nil {
      reference = try RunCommand.load(arguments).masterKey
    } else if reference == nil, let configuration = try? RunCommand.load(arguments), configuration.storePath == path {
      reference = configuration.masterKey
    }
    do throws(MasterKeySource.Failure) {
      return try MasterKeySource.load(reference)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.line)
    }
  }

  /// `--store`, else the configuration's store.
  static func path(_ arguments: Arguments) throws(CommandFailure) -> String {
    if let path = arguments.value("--store") { return path }
    return try RunCommand.load(arguments).storePath
  }

  /// A folder without slashes at its end, so that a name can be put behind it.
  static func folder(_ path: String) -> String {
    String(path.reversed().drop { $0 == "/" }.reversed())
  }

  convenience init(_ arguments: Arguments) throws(CommandFailure) {
    try self.init(path: try StoreAccess.path(arguments), arguments)
  }

  init(path: String, _ arguments: Arguments) throws(CommandFailure) {
    self.path = path
    guard FileManager.default.fileExists(atPath: path + "/CURRENT") else {
      throw CommandFailure(ExitCode.usage, "\(path): no store here; name one with --store PATH or -c vigil.yaml")
    }
    let scratch = try StoreAccess.makeScratch()
    self.scratch = scratch
    do {
      let key = try StoreAccess.masterKey(arguments, store: path)
      let store = try StoreAccess.open(path, scratch: scratch, key: key)
      self.store = store
      journaledRules = try store.registry.latestText(.rules).flatMap { RuleDeployment(journaled: $0.bytes) }
      registry = try journaledRules?.baseFiles.registry() ?? RuleFiles.read("Rules").registry()
      directory = Directory(registry: registry)
      try store.registry.restore(into: directory)
    } catch {
      try? FileManager.default.removeItem(atPath: scratch)
      throw (error as? CommandFailure) ?? CommandFailure(ExitCode.failed, "\(path): \(error)")
    }
  }

  deinit {
    store.close()
    try? FileManager.default.removeItem(atPath: scratch)
  }

  /// Tries again while the writer keeps changing its files.
  static func open(
    _ path: String, scratch: String, key: MasterKey?, isForRepair: Bool = false
  ) throws(CommandFailure) -> VigilStore {
    for attempt in 1...5 {
      do throws(StoreError) {
        return try VigilStore.openReadOnly(path: path, scratch: scratch, key: key, isForRepair: isForRepair)
      } catch {
        guard error == .busy, attempt < 5 else {
          let code = error == .busy ? ExitCode.inUse : ExitCode.failed
          throw CommandFailure(code, "\(path): \(error.description)")
        }
      }
    }
    throw CommandFailure(ExitCode.inUse, "\(path): \(StoreError.busy.description)")
  }

  /// A folder of this reader's own, for its owner only.
  static func makeScratch() throws(CommandFailure) -> String {
    var template = Array("\(FileManager.default.temporaryDirectory.path)/vigil-read-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw CommandFailure(ExitCode.unavailable, "no temporary folder can be made; set TMPDIR to one that is writable")
    }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Runs what reads the store; damage and trouble become one line.
  func reading<Value>(_ body: () throws -> Value) throws(CommandFailure) -> Value {
    do {
      return try body()
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw CommandFailure(ExitCode.failed, "\(path): \(error)")
    }
  }

  /// Numbers of the patients of these ids, in every tenant; nil: all. An unknown id is named in a warning.
  ///
  /// - Throws: where none of them is known: nothing would look like patients without samples.
  func patients(_ ids: [String]) throws(CommandFailure) -> Set<UInt32>? {
    guard !ids.isEmpty else { return nil }
    let wanted = Set(ids)
    var found: Set<UInt32> = []
    var known: Set<String> = []
    for number in 0..<UInt32(directory.counts.patients) {
      guard let key = directory.patientKey(number), wanted.contains(key.patient) else { continue }
      found.insert(number)
      known.insert(key.patient)
    }
    guard !known.isEmpty else {
      let named = ids.count == 1 ? "no patient `\(ids[0])`" : "none of the patients `\(ids.joined(separator: "`, `"))`"
      throw CommandFailure(ExitCode.usage, "`--patients`: the store knows \(named); leave it out for all")
    }
    for id in ids where !known.contains(id) { printError("vigil: the store knows no patient `\(id)`") }
    return found
  }
}
