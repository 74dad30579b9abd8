import Neural
print(coreName(), eig())
