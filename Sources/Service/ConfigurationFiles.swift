import Configuration
import Foundation
import VitalModel
import YAMLText

/// The configuration read from disk, with secrets from the environment and files.
package enum ConfigurationFiles {
  package struct Failure: Error {
    package var lines: [String]
    package var problems: [TextProblem]
  }

  /// Secrets by `env:NAME` and `file:PATH`; a file's trailing line feed does not count.
  package static let secrets = SecretSources(
    environment: { ProcessInfo.processInfo.environment[$0] },
    file: { path in
      guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
      return text.hasSuffix("\n") ? String(text.dropLast()) : text
    })

  /// Reads `path`, else `./vigil.yaml`, else the defaults.
  ///
  /// - Parameter rules: the rule directory whose registry names the vitals; nil: `Rules`, if it is there.
  package static func load(path: String?, rules: String? = nil) throws(Failure) -> VigilConfiguration {
    let file = path ?? "vigil.yaml"
    guard FileManager.default.fileExists(atPath: file) else {
      if path != nil { throw Failure(lines: ["\(file): no such configuration"], problems: []) }
      return VigilConfiguration()
    }
    guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
      throw Failure(lines: ["\(file): cannot be read as UTF-8 text"], problems: [])
    }
    do throws(TextProblems) {
      let first = try VigilConfiguration.parse(text, file: file, secrets: secrets, registry: nil)
      // Topic mappings name vitals: checked once the configuration says where the registry is.
      guard !first.topics.isEmpty else { return first }
      let registry = try? registry(near: rules ?? first.rulesPath)
      return try VigilConfiguration.parse(text, file: file, secrets: secrets, registry: registry)
    } catch {
      throw Failure(lines: error.description.split(separator: "\n").map(String.init), problems: error.all)
    }
  }

  private static func registry(near rules: String) throws(Failure) -> VitalRegistry {
    do throws(RuleFiles.Failure) {
      return try RuleFiles.read(rules).registry()
    } catch {
      throw Failure(lines: error.description.split(separator: "\n").map(String.init), problems: [])
    }
  }
}
