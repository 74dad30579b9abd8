import Yams
import Logging
import Neural
