import Digests
import Foundation
import Recordings
import Service
import VitalModel

/// `vigil replay --resume FILE`: how far the replay got is kept in FILE, and the same command goes on from there.
///
/// The rows before are read again, which is cheap, and not evaluated again; the outputs are cut back to what belongs to them.
/// At the end the file is removed.
final class ReplayResume {
  /// Rows and seconds between two notes of progress, whichever comes later: writing every patient's state takes its time.
  private static let entriesMin = 100_000
  private static let secondsMin = 20.0

  private let path: String
  private let identity: String
  private let interval: (entries: Int, seconds: Double)
  private var last: (entries: Int, time: ContinuousClock.Instant)
  /// What an earlier run left; nil: none.
  let found: ReplayProgress?
  /// Whether the file at `path` is a replay's progress, this one's or that of the run it goes on from.
  private var isKept = false
  private var hasComplained = false

  init?(_ arguments: Arguments, _ inputs: RecordingInputs, threads: Int) throws(CommandFailure) {
    guard let path = arguments.value("--resume") else { return nil }
    guard arguments.has("--alerts") else {
      throw CommandFailure(
        ExitCode.usage, "replay: `--resume` needs `--alerts FILE`: what was printed cannot be taken back")
    }
    guard try ReplayCommand.speed(arguments) == 0 else {
      throw CommandFailure(ExitCode.usage, "replay: `--resume` and `--speed` in real time do not go together")
    }
    self.path = path
    identity = try ReplayResume.identity(arguments, inputs, threads: threads)
    let every = try arguments.int("--resume-rows", in: 1...1_000_000_000)
    interval = every.map { ($0, 0) } ?? (ReplayResume.entriesMin, ReplayResume.secondsMin)
    last = (0, .now)
    let target = OutputTarget(path)
    if target.kind == .absent {
      found = nil
      return
    }
    // A device would never be read to its end.
    guard target.kind == .file else {
      throw CommandFailure(ExitCode.usage, "\(path): no file: name one for `--resume` that the replay may make")
    }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw CommandFailure(ExitCode.failed, "\(path): cannot be read")
    }
    guard let progress = ReplayProgress([UInt8](data)) else {
      throw CommandFailure(
        ExitCode.failed, "\(path): damaged, or not the progress of a replay: remove it to begin anew")
    }
    guard progress.identity == identity else {
      throw CommandFailure(
        ExitCode.failed,
        "\(path): is of another replay (other inputs, rules or options): repeat that command, or remove the file to begin anew"
      )
    }
    found = progress
    isKept = true
    last.entries = progress.entries
  }

  /// The outputs must hold what they held when progress was noted.
  func check(_ outputs: [(path: String?, bytes: Int)]) throws(CommandFailure) {
    for case (let output?, let bytes) in outputs {
      let size = (try? FileManager.default.attributesOfItem(atPath: output))?[.size] as? Int ?? 0
      guard size >= bytes else {
        throw CommandFailure(
          ExitCode.failed, "\(output): shorter than when \(path) was written: remove \(path) to begin anew")
      }
    }
  }

  /// Notes progress where it is time to; between two rows.
  func note(_ session: ReplaySession, _ outputs: ReplayOutputs) {
    guard !session.isCatchingUp, session.entries - last.entries >= interval.entries,
      (ContinuousClock.now - last.time) / .seconds(1) >= interval.seconds
    else { return }
    var progress = session.progress(identity: identity)
    (progress.alertBytes, progress.heldBytes) = outputs.sizes()
    last = (session.entries, .now)
    do throws(CommandFailure) {
      try OutputFile.write(progress.bytes, to: path)
      isKept = true
    } catch {
      if !hasComplained { printError("vigil: \(error.line); the replay goes on without noting how far it is") }
      hasComplained = true
    }
  }

  /// The replay is through: its progress goes, and nothing else that may stand under that name.
  func remove() {
    let target = OutputTarget(path)
    if isKept, target.kind == .file { unlink(target.path) }
  }

  /// Over everything that decides what the replay gives: options, rules, and of each file its size, beginning and end.
  private static func identity(
    _ arguments: Arguments, _ inputs: RecordingInputs, threads: Int
  ) throws(CommandFailure) -> String {
    var digest = Sha256()
    var words = ["threads \(threads)", "rules \(inputs.plan.version)", inputs.setName]
    for flag in ReplayCommand.command.flags.map(\.name) where !["--json", "--resume", "--threads"].contains(flag) {
      words += arguments.all(flag).map { "\(flag)=\($0)" }
    }
    let files = ["--roster", "--alerting", "-c", "--events"].compactMap { arguments.value($0) }
    for path in inputs.paths + files {
      guard let file = FileHandle(forReadingAtPath: path) else {
        throw CommandFailure(ExitCode.failed, "\(path): cannot be read")
      }
      defer { try? file.close() }
      let size = (try? file.seekToEnd()) ?? 0
      words.append("\(path) \(size)")
      for start in [0, size > 65_536 ? size - 65_536 : 0] {
        try? file.seek(toOffset: start)
        digest.update([UInt8]((try? file.read(upToCount: 65_536)) ?? Data()))
      }
    }
    digest.update(Array(words.joined(separator: "\u{1F}").utf8))
    return "sha256:" + hex(digest.finalize())
  }
}
