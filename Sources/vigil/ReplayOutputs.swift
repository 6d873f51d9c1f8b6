import Foundation
import Recordings
import Service
import VitalModel

/// Where a replay's documents go: into files that grow as it goes on, or to standard output.
final class ReplayOutputs {
  private let alerts: RecordingOutput
  private let suppressed: RecordingOutput?
  private var alertBuffer: [UInt8] = []
  private var heldBuffer: [UInt8] = []
  private var alertBytes = 0
  private var heldBytes = 0
  private static let bufferMax = 1 << 16

  /// - Parameter progress: what an earlier run wrote up to there stays, what it wrote after goes.
  init(
    _ arguments: Arguments, goingOnFrom progress: ReplayProgress? = nil, _ resume: ReplayResume? = nil
  ) throws(CommandFailure) {
    let paths = (alerts: arguments.value("--alerts"), held: arguments.value("--suppressed"))
    if let progress, let resume {
      try resume.check([(paths.alerts, progress.alertBytes), (paths.held, progress.heldBytes)])
      (alertBytes, heldBytes) = (progress.alertBytes, progress.heldBytes)
    }
    do throws(RecordingError) {
      alerts =
        if let path = paths.alerts {
          try RecordingOutput(growing: path, from: alertBytes)
        } else {
          try RecordingOutput(path: "-")
        }
      suppressed =
        if let path = paths.held { try RecordingOutput(growing: path, from: heldBytes) } else { nil }
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  /// Bytes written so far, all of them in the files.
  func sizes() -> (alerts: Int, held: Int) {
    flush()
    return (alertBytes, heldBytes)
  }

  func write(_ document: AlertDocument) {
    alertBuffer += Array(document.json.utf8)
    alertBuffer.append(10)
    if alertBuffer.count > ReplayOutputs.bufferMax { flush() }
  }

  /// Takes a line of JSON.
  func write(_ output: ReplayOutput) {
    switch output {
    case .toldLine(let line):
      alertBuffer += line
      alertBuffer.append(10)
    case .heldLine(let line) where suppressed != nil:
      heldBuffer += line
      heldBuffer.append(10)
    default: return
    }
    if alertBuffer.count > ReplayOutputs.bufferMax || heldBuffer.count > ReplayOutputs.bufferMax { flush() }
  }

  func writeHeld(_ document: AlertDocument) {
    guard suppressed != nil else { return }
    heldBuffer += Array(document.json.utf8)
    heldBuffer.append(10)
    if heldBuffer.count > ReplayOutputs.bufferMax { flush() }
  }

  func close() throws(CommandFailure) {
    flush()
    do throws(RecordingError) {
      try alerts.finish()
      try suppressed?.finish()
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  /// Alerts that cannot be written end the program there and then: a replay has nothing else to give, and its threads
  /// nothing to put in order.
  private func flush() {
    do throws(RecordingError) {
      try alerts.write(alertBuffer)
      try suppressed?.write(heldBuffer)
    } catch {
      _exit(Program.fail(CommandFailure(ExitCode.failed, error.description)))
    }
    alertBytes += alertBuffer.count
    heldBytes += heldBuffer.count
    alertBuffer.removeAll(keepingCapacity: true)
    heldBuffer.removeAll(keepingCapacity: true)
  }
}
